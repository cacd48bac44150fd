"""Managed databases on the fabric: names, trusted sources, restarts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from tank import Tank, tcp

from emulator.cloud.certificates import issue, make_authority
from emulator.planes.base import Address, DatabaseSpec, MemberPolicy, PlaneError

pytestmark = pytest.mark.docker

HOST = "db-do-user-1-0.db.ondigitalocean.com"
PRIVATE, PUBLIC, PORT = "10.1.0.200", "203.0.113.200", 25060
LOOK_UP = "import socket, sys; print(socket.gethostbyname(sys.argv[1]))"


def cluster(engine: str = "pg") -> DatabaseSpec:
    """A small cluster in the droplets' VPC."""
    authority = make_authority("test")
    hosts = (HOST, f"private-{HOST}")
    pair = issue(authority, hosts)
    return DatabaseSpec(
        str(uuid.uuid4()), "db", engine, "15", 1024, "vpc-1", "10.1.0.0/20",
        Address(PUBLIC, 24, "203.0.113.1"), Address(PRIVATE, 20, "10.1.0.1"), *hosts, PORT, "doadmin",
        "secret",
        ca=authority.certificate, certificate=pair.certificate, key=pair.key,
    )  # fmt: skip


@pytest.fixture
def database(tank: Tank) -> Iterator[DatabaseSpec]:
    """A cluster that trusts droplet 1 only."""
    spec = cluster()
    trusted = tcp(PORT, "10.1.0.10/32", "203.0.113.10/32", firewall="trusted sources")
    tank.databases.append(MemberPolicy(f"database:{spec.id}", True, (trusted,), ()))
    try:
        tank.plane.create_database(spec, tank.policy())
        yield spec
    finally:
        tank.databases.clear()
        tank.plane.destroy_database(spec.id)


def test_database_is_reached_by_name_from_trusted_sources_only(tank: Tank, database: DatabaseSpec) -> None:
    """Both names resolve in the tank, and the service's port is open to whom the cluster trusts."""
    assert tank.run(1, "python3", "-Ic", LOOK_UP, database.private_host) == (0, f"{PRIVATE}\n")
    assert tank.run(1, "python3", "-Ic", LOOK_UP, database.public_host) == (0, f"{PUBLIC}\n")
    assert tank.probe(1, PRIVATE, PORT) == "open"
    assert tank.probe(1, PUBLIC, PORT) == "open"
    assert tank.probe(1, PRIVATE, 22) == "filtered"
    assert tank.probe(2, PRIVATE, PORT) == "filtered"
    assert tank.probe(2, PUBLIC, PORT) == "filtered"


def test_stopped_database_is_started_with_its_data(tank: Tank, database: DatabaseSpec) -> None:
    """Creating a cluster that is there and stopped starts it, wired as before."""
    name = f"wt-{tank.instance}-database-{database.id}"
    tank.engine.api.kill(name)
    assert tank.plane.existing().machines[f"database:{database.id}"] == "stopped"
    tank.plane.create_database(database, tank.policy())
    assert tank.probe(1, PRIVATE, PORT) == "open"


def test_destroyed_database_no_longer_resolves(tank: Tank, database: DatabaseSpec) -> None:
    """Its names go with it."""
    tank.plane.destroy_database(database.id)
    assert tank.run(1, "python3", "-Ic", LOOK_UP, database.private_host)[0] != 0


def test_unknown_engine_is_an_error(tank: Tank) -> None:
    """An engine that cannot be run is refused by name."""
    with pytest.raises(PlaneError, match="kafka"):
        tank.plane.create_database(cluster("kafka"), tank.policy())

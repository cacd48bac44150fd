"""Managed databases: made, connected to, trusted."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from rig import call, make_database, make_droplet

from emulator.cloud import databases
from emulator.cloud.core import Cloud
from emulator.cloud.machines import database_spec
from emulator.cloud.models import Database
from emulator.docker.database import container_config
from emulator.docker.engine import Owner
from emulator.planes.memory import MemoryPlane

BODY = {"name": "main", "engine": "pg", "region": "fra1", "size": "db-s-1vcpu-1gb", "num_nodes": 1}


def test_a_cluster_is_creating_until_it_takes_connections(slow_cloud: Cloud) -> None:
    """creating, then online."""
    made = make_database(slow_cloud)
    path = f"/v2/databases/{made.id}"
    assert call(slow_cloud, "GET", path).body["database"]["status"] == "creating"
    slow_cloud.advance()
    assert call(slow_cloud, "GET", path).body["database"]["status"] == "online"


def test_a_cluster_that_cannot_be_made_says_why(cloud: Cloud, plane: MemoryPlane) -> None:
    """It stays creating, as there is no other status; the console has the reason."""
    plane.faults["database:main"] = "no space left"
    made = make_database(cloud)
    assert databases.get(cloud, made.id).status == "creating"
    assert call(cloud, "GET", f"/_wavetank/console/database/{made.id}").body["error"] == "no space left"


@pytest.mark.parametrize(
    ("engine", "scheme", "port", "user", "database"),
    [
        ("pg", "postgresql", 25060, "doadmin", "defaultdb"),
        ("valkey", "rediss", 25061, "default", ""),
        ("mongodb", "mongodb", 27017, "doadmin", "defaultdb"),
    ],
)
def test_connections_agree_with_themselves(
    cloud: Cloud, engine: str, scheme: str, port: int, user: str, database: str
) -> None:
    """Each string holds what its fields say, through the public and the private host."""
    shown = call(cloud, "POST", "/v2/databases", {**BODY, "engine": engine}).body["database"]
    for name, prefix in (("connection", "main-do-user-"), ("private_connection", "private-main-do-user-")):
        connection = shown[name]
        parts = urlsplit(connection["uri"])
        assert (parts.scheme, parts.hostname, parts.port) == (scheme, connection["host"], port)
        assert (parts.username, parts.password) == (user, connection["password"])
        assert (connection["user"], connection["database"], connection["ssl"]) == (user, database, True)
        assert connection["host"].startswith(prefix)
        assert connection["host"].endswith("-0.db.ondigitalocean.com")
        assert parts.path.strip("/") == database


@pytest.mark.parametrize(
    ("engine", "size", "connections", "storage"),
    [
        ("pg", "db-s-1vcpu-1gb", 25, 10240),
        ("pg", "db-s-1vcpu-2gb", 50, 30720),
        ("pg", "db-s-2vcpu-4gb", 100, 61440),
        ("valkey", "db-s-2vcpu-4gb", 0, 61440),
        ("mongodb", "db-s-2vcpu-4gb", 0, 61440),
    ],
)
def test_a_size_decides_storage_and_postgresqls_connections(
    cloud: Cloud, engine: str, size: str, connections: int, storage: int
) -> None:
    """25 connections for each GiB, those for maintenance among them; other engines keep their own."""
    shown = call(cloud, "POST", "/v2/databases", {**BODY, "engine": engine, "size": size}).body["database"]
    spec = database_spec(cloud, databases.get(cloud, shown["id"]))
    assert (spec.max_connections, shown["storage_size_mib"]) == (connections, storage)
    told = container_config(Owner("test", Path("/nowhere")), spec)["environment"].get("WT_MAX_CONNECTIONS")
    assert told == (str(connections) if connections else None)


def test_every_cluster_has_a_password_of_its_own(cloud: Cloud) -> None:
    """Generated, and safe in a URL."""
    passwords = {make_database(cloud, f"db-{number}").password for number in range(5)}
    assert len(passwords) == 5
    assert all(password.isascii() and password.replace("_", "").isalnum() for password in passwords)


def test_the_certificate_is_the_authoritys_and_for_both_hosts(cloud: Cloud) -> None:
    """A client that trusts the given CA may connect by either name or address."""
    import ipaddress

    made = make_database(cloud)
    encoded = call(cloud, "GET", f"/v2/databases/{made.id}/ca").body["ca"]["certificate"]
    authority = x509.load_pem_x509_certificate(base64.b64decode(encoded))
    certificate = x509.load_pem_x509_certificate(made.certificate.encode())
    builder = PolicyBuilder().store(Store([authority]))
    subjects: list[x509.GeneralName] = [x509.DNSName(made.public_host), x509.DNSName(made.private_host)]
    subjects += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in (made.public_ip, made.private_ip)]
    for subject in subjects:
        builder.build_server_verifier(subject).verify(certificate, [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"engine": "redis"}, 422, "no longer offered"),
        ({"engine": "oracle"}, 422, "invalid engine"),
        ({"engine": "mysql"}, 501, "mysql"),
        ({"version": "9.6"}, 422, "invalid version"),
        ({"version": "17"}, 501, "pg version 17"),
        ({"size": "tiny"}, 422, "invalid size"),
        ({"region": "mars1"}, 422, "invalid region"),
        ({"num_nodes": 9}, 422, "invalid node count"),
        ({"num_nodes": 2}, 501, "more than one node"),
        ({"num_nodes": "1"}, 422, "num_nodes must be an integer"),
        ({"num_nodes": None}, 422, "num_nodes is required"),
        ({"name": "Main"}, 422, "invalid name"),
        ({"name": "m" * 38}, 422, "1 characters too long to be part of a host name"),
        ({"name": None}, 422, "name is required"),
        ({"private_network_uuid": "nope"}, 422, "Failed to resolve VPC"),
        ({"rules": [{"type": "ip_addr", "value": "::/0"}]}, 422, "not an IPv4"),
        ({"rules": [{"type": "droplet", "value": "1"}]}, 422, "not found"),
        ({"rules": [{"type": "tag", "value": "t"}]}, 422, "does not exist"),
        ({"rules": [{"type": "vpc", "value": "t"}]}, 422, "invalid firewall rule type"),
        ({"rules": [{"type": "k8s", "value": "t"}]}, 501, "k8s"),
        ({"rules": [{"type": "ip_addr", "value": f"10.0.0.{n}"} for n in range(101)]}, 422, "at most 100"),
        ({"project_id": "nope"}, 404, "not be found"),
        ({"backup_restore": {"database_name": "x"}}, 501, "backup"),
        ({"autoscale": {"storage": {"threshold_percent": 80}}}, 422, "enabled is required"),
        ({"autoscale": {"storage": {"enabled": True, "threshold_percent": 5}}}, 422, "between 15 and 95"),
        ({"storage_autoscale": {"enabled": True, "increment_gib": 501}}, 422, "between 10 and 500"),
        ({"do_settings": {"service_cnames": ["-x.com"]}}, 422, "not a host name"),
        ({"do_settings": {"service_cnames": ["a.b"] * 17}}, 422, "at most 16"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_wishes_for_clusters_are_refused(
    cloud: Cloud, changes: dict[str, Any], status: int, message: str
) -> None:
    """With a message that names what is wrong, and without a trace."""
    response = call(cloud, "POST", "/v2/databases", {**BODY, **changes})
    assert (response.status, message in response.body["message"]) == (status, True), response.body
    assert not cloud.store.all(Database)


def test_names_of_clusters_are_unique(cloud: Cloud) -> None:
    """Host names are made of them."""
    make_database(cloud)
    assert call(cloud, "POST", "/v2/databases", BODY).status == 422


def test_a_trusted_source_can_be_added_after_a_trusted_droplet_is_gone(cloud: Cloud) -> None:
    """All rules are read, one is added, and all are written back; a droplet that never was is refused."""
    droplet, database = make_droplet(cloud), make_database(cloud)
    path = f"/v2/databases/{database.id}/firewall"
    call(cloud, "PUT", path, {"rules": [{"type": "droplet", "value": str(droplet.id)}]})
    assert call(cloud, "DELETE", f"/v2/droplets/{droplet.id}").status == 204
    more = [*call(cloud, "GET", path).body["rules"], {"type": "ip_addr", "value": "192.0.2.1"}]
    assert call(cloud, "PUT", path, {"rules": more}).status == 204
    assert [rule["type"] for rule in call(cloud, "GET", path).body["rules"]] == [
        each["type"] for each in more
    ]
    assert call(cloud, "PUT", path, {"rules": [{"type": "droplet", "value": "1"}]}).status == 422


ASKED = {"enabled": True, "threshold_percent": 80, "increment_gib": 20}


@pytest.mark.parametrize("more", [{"autoscale": {"storage": ASKED}}, {"storage_autoscale": ASKED}])
def test_storage_autoscale_is_kept_as_asked_for(cloud: Cloud, more: dict[str, Any]) -> None:
    """As the document names it and as godo does; shown under both names, and changed as a whole."""
    made = call(cloud, "POST", "/v2/databases", {**BODY, **more}).body["database"]
    assert (made["storage_autoscale"], made["autoscale"]) == (ASKED, {"storage": ASKED})
    path = f"/v2/databases/{made['id']}/autoscale"
    assert call(cloud, "GET", path).body == {"autoscale": {"storage": ASKED}, "storage": ASKED}
    assert call(cloud, "PUT", path, {"storage": {"enabled": False}}).status == 204
    assert call(cloud, "GET", path).body["storage"] == {"enabled": False}


def test_a_cluster_without_autoscale_says_that_it_is_off(cloud: Cloud) -> None:
    """Terraform's data source asks for it where the cluster does not say."""
    made = call(cloud, "POST", "/v2/databases", BODY).body["database"]
    assert (made["storage_autoscale"], "autoscale" in made) == ({"enabled": False}, False)
    assert call(cloud, "GET", f"/v2/databases/{made['id']}/autoscale").body["storage"] == {"enabled": False}


def test_a_cluster_names_where_its_metrics_are(cloud: Cloud) -> None:
    """The public host, at the port that DigitalOcean's document has."""
    made = call(cloud, "POST", "/v2/databases", BODY).body["database"]
    assert made["metrics_endpoints"] == [{"host": made["connection"]["host"], "port": 9273}]


def test_service_names_are_in_the_certificate(cloud: Cloud) -> None:
    """They are the owner's own names for the cluster: a client that comes by one can verify it."""
    names = ["db.example.com", "pg.example.com"]
    made = call(cloud, "POST", "/v2/databases", {**BODY, "do_settings": {"service_cnames": names}}).body
    assert made["database"]["do_settings"] == {"service_cnames": names}
    pem = databases.get(cloud, made["database"]["id"]).certificate
    found = x509.load_pem_x509_certificate(pem.encode()).extensions
    shown = found.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert shown[2:] == names


def test_a_trusted_source_keeps_its_description(cloud: Cloud) -> None:
    """In the cluster and in the list of rules; changed with the next list, while id and date stay."""
    office = {"type": "ip_addr", "value": "192.0.2.1", "description": "the office"}
    plain = {"type": "ip_addr", "value": "192.0.2.2"}
    made = call(cloud, "POST", "/v2/databases", {**BODY, "rules": [office, plain]}).body["database"]
    assert [rule.get("description") for rule in made["rules"]] == ["the office", None]
    path = f"/v2/databases/{made['id']}/firewall"
    before = call(cloud, "GET", path).body["rules"]
    again = {**before[0], "description": "the new office"}
    assert call(cloud, "PUT", path, {"rules": [again, {**office, "description": "twice"}]}).status == 204
    assert call(cloud, "GET", path).body["rules"] == [again]
    assert call(cloud, "PUT", path, {"rules": [{**office, "description": 1}]}).status == 422
    assert call(cloud, "PUT", path, {"rules": [plain]}).status == 204
    assert "description" not in call(cloud, "GET", path).body["rules"][0]


def test_trusted_sources_are_replaced_as_a_whole(cloud: Cloud, plane: MemoryPlane) -> None:
    """Ids are the server's; a source that stays keeps its own; an empty list opens the cluster."""
    droplet, database = make_droplet(cloud), make_database(cloud)
    path = f"/v2/databases/{database.id}/firewall"
    first = {"type": "droplet", "value": str(droplet.id), "uuid": "", "cluster_uuid": ""}
    assert call(cloud, "PUT", path, {"rules": [first]}).status == 204
    before = call(cloud, "GET", path).body["rules"]
    assert (len(before), before[0]["cluster_uuid"], len(before[0]["uuid"])) == (1, database.id, 36)
    call(cloud, "PUT", path, {"rules": [{"type": "ip_addr", "value": "192.0.2.1"}, first]})
    after = call(cloud, "GET", path).body["rules"]
    assert [rule["type"] for rule in after] == ["ip_addr", "droplet"]
    assert after[1]["uuid"] == before[0]["uuid"]
    assert _peers(plane, database) == {"192.0.2.1/32", f"{droplet.private_ip}/32", f"{droplet.public_ip}/32"}
    call(cloud, "PUT", path, {"rules": []})
    assert _peers(plane, database) == {"0.0.0.0/0"}


def test_clusters_are_listed_by_tag(cloud: Cloud) -> None:
    """And forgotten when they are destroyed."""
    made = make_database(cloud, "one", tags=["run:a"])
    make_database(cloud, "two")
    listed = call(cloud, "GET", "/v2/databases?tag_name=run:a").body["databases"]
    assert [database["name"] for database in listed] == ["one"]
    assert call(cloud, "DELETE", f"/v2/databases/{made.id}").status == 204
    assert call(cloud, "GET", f"/v2/databases/{made.id}").status == 404
    assert cloud.store.get(Database, made.id) is None


def _peers(plane: MemoryPlane, database: Database) -> set[str]:
    member = next(member for member in plane.policy.members if member.ref == database.ref)
    return set(member.inbound[0].peers)

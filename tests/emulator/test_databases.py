"""The managed databases' images, met with real clients over TLS."""

from __future__ import annotations

import datetime
import io
import socket
import tarfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import psycopg
import pymongo
import pytest
import valkey
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from docker.models.containers import Container
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from emulator.docker.images.build import connected, ensure
from harness.core.wait import NotYet, wait_for

pytestmark = pytest.mark.docker

PASSWORD = 'it\'s a "pass\\word" = 100% $HOME'
IMAGES = {"pg": "postgres", "valkey": "valkey", "mongodb": "mongodb"}
USERS = {"pg": "doadmin", "valkey": "default", "mongodb": "doadmin"}
PORTS = {"pg": 25060, "valkey": 25061, "mongodb": 27017}


def certificates() -> dict[str, bytes]:
    """A CA, and a certificate for localhost with its key, as PEM by file name."""
    now = datetime.datetime.now(datetime.UTC)

    def issue(
        name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, ca: bool
    ) -> bytes:
        common = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, issuer)]
        builder = (
            x509.CertificateBuilder(
                subject_name=common[0], issuer_name=common[1], public_key=key.public_key()
            )
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return {
        "ca.pem": issue("ca", authority, "ca", authority, True),
        "cert.pem": issue("localhost", server, "ca", authority, False),
        "key.pem": server.private_bytes(pem, pkcs8, serialization.NoEncryption()),
    }


@dataclass
class Cluster:
    """One running database and how to reach it from here."""

    engine: str
    container: Container
    ca: str

    @property
    def port(self) -> int:
        self.container.reload()
        return int(self.container.ports[f"{PORTS[self.engine]}/tcp"][0]["HostPort"])

    def wait_until_ready(self) -> None:
        wait_for(f"{self.engine} ready", self._ready, deadline=60)

    def cut_power(self) -> None:
        """Kill everything at once, and start again."""
        self.container.kill()
        self.container.start()
        self.wait_until_ready()

    def _ready(self) -> None:
        if self.container.exec_run("wt-ready").exit_code != 0:
            raise NotYet(self.container.logs(tail=5).decode())


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    """The local engine."""
    with connected() as client:
        yield client


@pytest.fixture(scope="module")
def references(engine: docker.DockerClient) -> dict[str, str]:
    """The database images by name."""
    return ensure(list(IMAGES.values()), client=engine)


Start = Callable[[str], Cluster]


@pytest.fixture(scope="module")
def start(
    engine: docker.DockerClient, references: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Start]:
    """Start a cluster of an engine, once a module, on a loopback port."""
    clusters: dict[str, Cluster] = {}
    pem = certificates()
    ca: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.write_bytes(pem["ca.pem"])

    def start(name: str) -> Cluster:
        if name not in clusters:
            container = engine.containers.create(
                references[IMAGES[name]],
                name=f"wavetank-test-{name}-{uuid.uuid4().hex[:8]}",
                environment=environment(name),
                ports={f"{PORTS[name]}/tcp": ("127.0.0.1", None)},
                labels={"wavetank.test": "databases"},
            )
            clusters[name] = Cluster(name, container, str(ca))
            container.put_archive("/etc", tls_archive(pem))
            container.start()
            clusters[name].wait_until_ready()
        return clusters[name]

    yield start
    for cluster in clusters.values():
        cluster.container.remove(force=True, v=True)


def environment(name: str) -> dict[str, str]:
    """What a database container is told."""
    settings = {"USER": USERS[name], "DATABASE": "defaultdb", "PORT": str(PORTS[name])}
    return {f"WT_{key}": value for key, value in settings.items()}


def tls_archive(pem: dict[str, bytes]) -> bytes:
    """The certificates and the password as the archive that is unpacked in /etc."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        files = {f"wavetank/tls/{name}": content for name, content in pem.items()}
        for name, content in {**files, "wavetank/password": PASSWORD.encode()}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


# --- every engine ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IMAGES)
def test_it_is_not_ready_while_nothing_runs(
    engine: docker.DockerClient, references: dict[str, str], name: str
) -> None:
    """Readiness is about the server, not about the container."""
    container = engine.containers.run(
        references[IMAGES[name]],
        entrypoint=["sleep", "60"],
        environment=environment(name),
        network_mode="none",
        detach=True,
    )
    try:
        assert container.exec_run("wt-ready").exit_code != 0
    finally:
        container.remove(force=True, v=True)


@pytest.mark.parametrize("name", IMAGES)
def test_a_missing_setting_ends_it_with_its_name(
    engine: docker.DockerClient, references: dict[str, str], name: str
) -> None:
    """Without a password there is no server, and the log says why."""
    container = engine.containers.run(
        references[IMAGES[name]], environment=environment(name), network_mode="none", detach=True
    )
    try:
        assert container.wait(timeout=30)["StatusCode"] != 0
        assert "/etc/wavetank/password" in container.logs().decode()
    finally:
        container.remove(force=True, v=True)


@pytest.mark.parametrize("name", IMAGES)
def test_it_ends_cleanly_when_asked(start: Start, name: str) -> None:
    """Asked to stop, it does so by itself; started again, it is ready again."""
    cluster = start(name)
    cluster.container.stop(timeout=30)
    assert cluster.container.wait(timeout=30)["StatusCode"] == 0
    cluster.container.start()
    cluster.wait_until_ready()


# --- PostgreSQL -----------------------------------------------------------------------------------------


def pg(cluster: Cluster, **changes: Any) -> psycopg.Connection[Any]:
    """Connect as a user would; ``changes`` replace options."""
    options = {"user": "doadmin", "password": PASSWORD, "dbname": "defaultdb", "sslmode": "verify-full"}
    options |= {
        "host": "localhost",
        "hostaddr": "127.0.0.1",
        "sslrootcert": cluster.ca,
        "connect_timeout": "10",
    }
    return psycopg.connect(port=cluster.port, autocommit=True, **(options | changes))


def test_postgres_serves_over_tls(start: Start) -> None:
    """The connection is encrypted, verified, and to version 15."""
    with pg(start("pg")) as connection:
        row = connection.execute(
            "SELECT ssl, version() FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert row is not None
    assert row[0] is True
    assert row[1].startswith("PostgreSQL 15.")


def test_postgres_refuses_plain_connections(start: Start) -> None:
    """Without TLS there is no way in, with the right password."""
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        pg(start("pg"), sslmode="disable")


def test_postgres_refuses_a_wrong_password(start: Start) -> None:
    """TLS alone does not open it."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        pg(start("pg"), password="wrong")


def test_postgres_user_may_what_a_managed_one_may(start: Start) -> None:
    """It owns its database, makes others and roles, and is no superuser."""
    with pg(start("pg")) as connection:
        connection.execute("CREATE TABLE owned (id int)")
        connection.execute("CREATE DATABASE another")
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'x'")
        assert connection.execute("SHOW is_superuser").fetchone() == ("off",)
        connection.execute("DROP DATABASE another")
        connection.execute("DROP ROLE reader")
        connection.execute("DROP TABLE owned")


def test_postgres_gives_the_smallest_size_22_connections(start: Start) -> None:
    """The 23rd is refused in its own words; three are left for maintenance, and it is still ready."""
    cluster = start("pg")
    with ExitStack() as context:
        first = context.enter_context(pg(cluster))
        # Those of other tests end a little later than their clients.
        wait_for("other connections to end", lambda: _alone(first), deadline=30)
        for _ in range(21):
            context.enter_context(pg(cluster))
        with pytest.raises(psycopg.OperationalError, match="remaining connection slots are reserved"):
            pg(cluster)
        assert cluster.container.exec_run("wt-ready").exit_code == 0
        argv = ["psql", "-XAtqc", "SHOW max_connections", f"port={PORTS['pg']} dbname=postgres"]
        maintenance = cluster.container.exec_run(argv, user="postgres")
        assert (maintenance.exit_code, maintenance.output) == (0, b"25\n")


def _alone(connection: psycopg.Connection[Any]) -> None:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    [count] = connection.execute(asked).fetchone() or [0]
    if count != 1:
        raise NotYet(f"{count} connections")


def test_postgres_keeps_what_was_committed(start: Start) -> None:
    """A power cut loses nothing that was committed."""
    cluster = start("pg")
    with pg(cluster) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    cluster.cut_power()
    with pg(cluster) as connection:
        assert connection.execute("SELECT sum(n) FROM kept").fetchone() == (500500,)
        connection.execute("DROP TABLE kept")


# --- Valkey ---------------------------------------------------------------------------------------------


def queue(cluster: Cluster, **changes: Any) -> valkey.Valkey:
    """A client as a user would make it; ``changes`` replace options."""
    options = {"username": "default", "password": PASSWORD, "ssl": True, "ssl_ca_certs": cluster.ca}
    return valkey.Valkey(host="localhost", port=cluster.port, socket_timeout=10, **(options | changes))


def test_valkey_serves_over_tls(start: Start) -> None:
    """A verified connection reads what it wrote."""
    with closing(queue(start("valkey"))) as client:
        assert client.set("greeting", "hello")
        assert client.get("greeting") == b"hello"
        assert client.delete("greeting") == 1


def test_valkey_takes_a_password_alone(start: Start) -> None:
    """Clients that know no user names are the default user."""
    with closing(queue(start("valkey"), username=None)) as client:
        assert client.ping()


def test_valkey_refuses_plain_connections(start: Start) -> None:
    """Without TLS not one command is answered."""
    with closing(queue(start("valkey"), ssl=False)) as client, pytest.raises(valkey.ConnectionError):
        client.ping()


def test_valkey_refuses_a_wrong_password(start: Start) -> None:
    """TLS alone does not open it."""
    with (
        closing(queue(start("valkey"), password="wrong")) as client,
        pytest.raises(valkey.AuthenticationError),
    ):
        client.ping()


def test_valkey_refuses_no_password(start: Start) -> None:
    """Commands before authentication are refused."""
    with (
        closing(queue(start("valkey"), username=None, password=None)) as client,
        pytest.raises(valkey.AuthenticationError),
    ):
        client.get("greeting")


def test_valkey_answers_a_blocked_reader(start: Start) -> None:
    """A worker that waits on a queue gets what is pushed later."""
    cluster = start("valkey")
    with closing(queue(cluster)) as worker, closing(queue(cluster)) as server:
        blocked = worker.pubsub(ignore_subscribe_messages=True)
        blocked.subscribe("jobs")
        wait_for("a subscriber", lambda: _one(server.publish("jobs", "job-1")), deadline=10)
        assert wait_for("the job", lambda: _some(blocked.get_message()), deadline=10)["data"] == b"job-1"
        blocked.close()
        server.lpush("queue", "job-2")
        assert worker.brpop(["queue"], timeout=5) == (b"queue", b"job-2")


def _one(receivers: Any) -> None:
    if receivers != 1:
        raise NotYet(f"{receivers} receivers")


def _some(message: Any) -> Any:
    if message is None:
        raise NotYet("no message")
    return message


def test_valkey_keeps_a_queue_over_a_restart(start: Start) -> None:
    """What was queued is there after an orderly restart, in order."""
    cluster = start("valkey")
    with closing(queue(cluster)) as client:
        client.rpush("kept", *range(100))
    cluster.container.restart(timeout=30)
    cluster.wait_until_ready()
    with closing(queue(cluster)) as client:
        assert client.lrange("kept", 0, -1) == [str(n).encode() for n in range(100)]
        client.delete("kept")


def test_valkey_listens_for_tls_only(start: Start) -> None:
    """The port does not speak Valkey's protocol in the clear."""
    with socket.create_connection(("127.0.0.1", start("valkey").port), timeout=10) as connection:
        connection.sendall(b"PING\r\n")
        assert b"PONG" not in connection.recv(100)


# --- MongoDB --------------------------------------------------------------------------------------------


def documents(cluster: Cluster, **changes: Any) -> pymongo.MongoClient[dict[str, Any]]:
    """A client as a user would make it; ``changes`` replace options."""
    options = {"username": "doadmin", "password": PASSWORD, "authSource": "admin", "tls": True}
    options |= {"tlsCAFile": cluster.ca, "serverSelectionTimeoutMS": 10_000}
    return pymongo.MongoClient("localhost", cluster.port, **(options | changes))


def test_mongodb_serves_over_tls(start: Start) -> None:
    """A verified connection finds what it wrote, by a query and in order."""
    with documents(start("mongodb")) as client:
        history = client.defaultdb.history
        history.insert_many([{"language": "c", "n": n} for n in range(10)])
        found = history.find({"language": "c", "n": {"$gte": 5}}).sort("n", pymongo.DESCENDING)
        assert [document["n"] for document in found] == [9, 8, 7, 6, 5]
        history.drop()


def test_mongodb_refuses_plain_connections(start: Start) -> None:
    """Without TLS no server is found."""
    refused = {"tls": False, "tlsCAFile": None, "serverSelectionTimeoutMS": 1000}
    with documents(start("mongodb"), **refused) as client, pytest.raises(ServerSelectionTimeoutError):
        client.admin.command("ping")


def test_mongodb_refuses_a_wrong_password(start: Start) -> None:
    """TLS alone does not open it."""
    with (
        documents(start("mongodb"), password="wrong") as client,
        pytest.raises(OperationFailure, match="AuthenticationFailed"),
    ):
        client.defaultdb.history.find_one()


def test_mongodb_refuses_no_password(start: Start) -> None:
    """Reading needs authentication."""
    with (
        documents(start("mongodb"), username=None, password=None) as client,
        pytest.raises(OperationFailure, match="requires authentication"),
    ):
        client.defaultdb.history.find_one()


def test_mongodb_keeps_what_was_acknowledged(start: Start) -> None:
    """A power cut loses nothing that was acknowledged."""
    cluster = start("mongodb")
    with documents(cluster) as client:
        client.defaultdb.kept.insert_many([{"n": n} for n in range(100)])
    cluster.cut_power()
    with documents(cluster) as client:
        assert client.defaultdb.kept.count_documents({}) == 100
        client.defaultdb.kept.drop()

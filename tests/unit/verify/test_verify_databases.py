"""Telling apart who refused a log-in, and who is meant to get through."""

from __future__ import annotations

import datetime
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import bson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.topology.deployment import Connection
from harness.topology.load import load
from harness.topology.model import Firewall, Rule, Topology
from harness.verify.databases import login, trust
from harness.verify.databases.login import Attempt, attempt
from harness.verify.databases.trust import Endpoint

HOST = "db.example"
AT = Connection(HOST, 25061, "default", "secret", "defaultdb", "")
STANDARD = Path(__file__).parents[3] / "topologies" / "standard.yaml"

Serve = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """A server's side of TLS, with a certificate for HOST that is its own CA, and that CA."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(pem, pkcs8, serialization.NoEncryption())
    file.write_bytes(private + made.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, made.public_bytes(pem).decode()


@contextmanager
def serving(serve: Serve) -> Iterator[socket.socket]:
    """A stream to a server that serves one connection, and closes it whatever happens."""
    near, far = socket.socketpair()

    def run() -> None:
        with far, suppress(OSError):
            serve(far)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield near
    finally:
        near.close()
        thread.join()


def valkey(context: ssl.SSLContext | None, password: str = "secret") -> Serve:
    """A server that knows AUTH and PING, over TLS where there is a context."""

    def serve(stream: socket.socket) -> None:
        spoken = context.wrap_socket(stream, server_side=True) if context else stream
        with spoken, spoken.makefile("rb") as lines:
            while line := lines.readline():
                words = [lines.read(int(lines.readline()[1:]) + 2)[:-2] for _ in range(int(line[1:]))]
                if words[0] == b"PING":
                    spoken.sendall(b"+PONG\r\n")
                else:
                    right = words == [b"AUTH", b"default", password.encode()]
                    spoken.sendall(b"+OK\r\n" if right else b"-WRONGPASS no\r\n")

    return serve


def test_right_credentials_open_a_session(server: tuple[ssl.SSLContext, str]) -> None:
    """Over TLS, verified, to a host name that no socket here has."""
    with serving(valkey(server[0])) as stream:
        assert attempt("valkey", stream, AT, authority=server[1]) == Attempt("session")


def test_the_servers_own_error_is_a_refusal(server: tuple[ssl.SSLContext, str]) -> None:
    """With its text."""
    with serving(valkey(server[0])) as stream:
        found = attempt("valkey", stream, AT, authority=server[1], password="wrong")
    assert found == Attempt("refused", "WRONGPASS no")


def test_another_authority_is_not_believed(server: tuple[ssl.SSLContext, str]) -> None:
    """The certificate's chain ends nowhere that is trusted."""
    with serving(valkey(server[0])) as stream:
        found = attempt("valkey", stream, AT, authority=trust.another_authority())
    assert trust.is_expected("authority", found)
    assert not trust.is_expected("name", found)


def test_another_name_is_not_believed(server: tuple[ssl.SSLContext, str]) -> None:
    """The certificate is good, and somebody else's."""
    with serving(valkey(server[0])) as stream:
        found = attempt("valkey", stream, AT, authority=server[1], name=trust.ELSEWHERE)
    assert trust.is_expected("name", found)
    assert not trust.is_expected("authority", found)


def test_a_server_that_takes_plain_text_is_found_out() -> None:
    """That it has an opinion on the password is bad enough."""
    with serving(valkey(None)) as stream:
        found = attempt("valkey", stream, AT, authority=None, password=trust.WRONG)
    assert found.outcome == "refused"
    assert not trust.is_expected("plain", found)


@pytest.mark.parametrize("engine", sorted(login.SPEAKERS))
@pytest.mark.parametrize("tls", [True, False])
def test_a_closed_connection_is_nobodys_refusal(
    engine: str, tls: bool, server: tuple[ssl.SSLContext, str]
) -> None:
    """Nothing was said, so nothing was refused."""
    with serving(lambda _: None) as stream:
        found = attempt(engine, stream, AT, authority=server[1] if tls else None)
    assert found.outcome == "lost"


@pytest.mark.parametrize(("code", "fine"), [(b"28000", True), (b"28P01", False)])
def test_postgres_says_why_not(code: bytes, fine: bool) -> None:
    """Turned away for want of encryption is as it should be; for the password, in plain text, is not."""

    def serve(stream: socket.socket) -> None:
        stream.recv(4096)
        fields = b"SFATAL\0C" + code + b"\0Mno\0\0"
        stream.sendall(b"E" + struct.pack("!I", 4 + len(fields)) + fields)

    with serving(serve) as stream:
        found = attempt("pg", stream, AT, authority=None, password=trust.WRONG)
    assert found == Attempt("refused", f"{code.decode()} no")
    assert trust.is_expected("plain", found) is fine


def test_mongodb_says_why_not() -> None:
    """An answer that is not ok is the server's refusal."""

    def serve(stream: socket.socket) -> None:
        stream.recv(4096)
        said = bson.encode({"ok": 0, "code": 18, "errmsg": "authentication failed"})
        stream.sendall(struct.pack("<iiiiIB", 21 + len(said), 1, 1, login.OP_MSG, 0, 0) + said)

    with serving(serve) as stream:
        assert attempt("mongodb", stream, AT, authority=None) == Attempt(
            "refused", "18 authentication failed"
        )


def endpoint(database: str, port: int, side: str) -> Endpoint:
    """An endpoint of the standard topology's."""
    at = replace(AT, port=port)
    if side == "private":
        return Endpoint(database, "private", at, "10.8.0.6")
    return Endpoint(database, "public", at, "203.0.113.6")


@pytest.fixture(scope="module")
def standard() -> Topology:
    """The standard topology."""
    return load(STANDARD)


@pytest.mark.parametrize(
    ("node", "database", "port", "side", "through"),
    [
        ("runner", "mongo", 27017, "private", True),
        ("worker-1", "postgres", 25060, "private", True),
        ("runner", "postgres", 25060, "private", False),
        ("client", "mongo", 27017, "private", False),
        ("worker-1", "postgres", 25060, "public", False),
    ],
)
def test_both_gates_decide(
    standard: Topology, node: str, database: str, port: int, side: str, through: bool
) -> None:
    """The database's trust and the droplet's rules; these let nobody out to a public endpoint."""
    assert trust.admits(standard, node, endpoint(database, port, side)) is through


def test_rules_may_let_out_to_the_public_endpoint(standard: Topology) -> None:
    """Whom the database trusts it trusts there, too; whom it does not stays outside."""
    door = Firewall("more", ("runner", "client"), (), (Rule("tcp", "27017", ("internet",)),))
    wider = replace(standard, firewalls=(*standard.firewalls, door))
    assert trust.admits(wider, "runner", endpoint("mongo", 27017, "public"))
    assert not trust.admits(wider, "client", endpoint("mongo", 27017, "public"))

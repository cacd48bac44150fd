"""Whom a managed database admits: each endpoint, tried from each droplet, in the right and all wrong ways."""

from __future__ import annotations

import datetime
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.access.ssh import Access
from harness.access.tunnel import tunnel
from harness.core import ports
from harness.firewall.evaluate import sent
from harness.firewall.from_topology import declared
from harness.firewall.model import Pair, Side
from harness.topology.deployment import Connection, DatabaseNode, Deployment
from harness.topology.flows import intended
from harness.topology.model import VPC, Topology
from harness.verify.databases import login
from harness.verify.databases.login import Attempt
from harness.verify.network.probe import Address

Case = Literal["right", "password", "plain", "authority", "name"]

SIDES: tuple[Side, ...] = ("private", "public")
WRONG = "not-the-password"
ELSEWHERE = "elsewhere.example"
SSH_PORT = 22  # every droplet has an sshd
NOT_SO = "28000"  # PostgreSQL: this user may not come in this way, whatever the password


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of a database: its private or its public host, and the address that this resolves to."""

    database: str
    side: Side
    at: Connection
    ip: str

    @property
    def address(self) -> Address:
        return self.ip, self.at.port

    def __str__(self) -> str:
        return f"{self.database} ({self.side})"


def endpoints(access: Access, deployment: Deployment, topology: Topology) -> tuple[Endpoint, ...]:
    """Both endpoints of each database, as a droplet that the database trusts resolves them."""
    found = []
    for name, node in deployment.databases.items():
        asked = topology.databases[name].trusted_sources[0]
        for side, at in (("private", node.private), ("public", node.public)):
            output = access.run(asked, f"getent ahostsv4 {at.host}")
            found.append(Endpoint(name, "private" if side == "private" else "public", at, output.split()[0]))
    return tuple(found)


def admits(topology: Topology, node: str, endpoint: Endpoint) -> bool:
    """Whether the topology admits ``node`` to an endpoint: by trusted sources, and by the node's own rules.

    A trusted droplet is trusted by both of its addresses, but the public endpoint is outside of the VPC,
    and rules that let the droplet out to the VPC do not let it out there.
    """
    if node not in topology.databases[endpoint.database].trusted_sources:
        return False
    if endpoint.side == "public" and not topology.droplets[node].public_networking:
        return False
    where = VPC if endpoint.side == "private" else f"{endpoint.ip}/32"
    this = ((endpoint.at.port, endpoint.at.port),)
    return ports.subtract(this, sent(declared(topology), Pair(node, where), "tcp")) == ports.NONE


def control(deployment: Deployment, topology: Topology, node: str, known: tuple[Endpoint, ...]) -> Address:
    """An address that must answer ``node``, as a control: it shows that the node's probes work.

    Raises ``LookupError`` where the topology lets it reach nothing.
    """
    for endpoint in known:
        if admits(topology, node, endpoint):
            return endpoint.address
    for flow in intended(topology):
        if flow.source == node and flow.protocol == "tcp" and flow.destination in deployment.nodes:
            return deployment.nodes[flow.destination].private_ip or "", _listening(flow.ports)
    raise LookupError(f"{node} may talk to nobody, so nothing shows that its probes work")


def _listening(given: str) -> int:
    """A flow's port that has a listener: sshd's where it is among them, else the first."""
    ranges = ports.parse(given)
    return SSH_PORT if any(first <= SSH_PORT <= last for first, last in ranges) else ranges[0][0]


def attempts(
    access: Access, node: str, database: DatabaseNode, endpoint: Endpoint, *, wrong: bool = True
) -> Mapping[Case, Attempt]:
    """Log in from ``node`` correctly and, if ``wrong``, in every way that must not work.

    Without TLS a made-up password is sent, never the real one: should the database take it, that shows in
    the database's having an opinion on it.
    """
    authority = database.ca_pem
    with tunnel(access, node, endpoint.at.host, endpoint.at.port) as path:

        def log_in(authority: str | None, name: str | None = None, password: str | None = None) -> Attempt:
            with socket.socket(socket.AF_UNIX) as stream:
                stream.settimeout(login.SECONDS)
                stream.connect(str(path))
                return login.attempt(
                    database.engine, stream, endpoint.at, authority=authority, name=name, password=password
                )

        right = log_in(authority)
        if right.outcome != "session" or not wrong:
            return {"right": right}
        return {
            "right": right,
            "password": log_in(authority, password=WRONG),
            "plain": log_in(None, password=WRONG),
            "authority": log_in(another_authority()),
            "name": log_in(authority, name=ELSEWHERE),
        }


def is_expected(case: Case, found: Attempt) -> bool:
    """Whether an attempt ended as expected in this case, and for the right reason."""
    match case:
        case "right":
            return found.outcome == "session"
        case "password":
            return found.outcome == "refused"
        case "plain":
            return found.outcome == "lost" or (
                found.outcome == "refused" and found.message.startswith(NOT_SO)
            )
        case "authority":
            return found.outcome == "unverified" and found.code in login.UNTRUSTED
        case "name":
            return found.outcome == "unverified" and found.code == login.HOST_MISMATCH


def another_authority() -> str:
    """The certificate, PEM, of a CA that has issued nothing."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another authority")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(hours=1),
        not_valid_after=now + datetime.timedelta(hours=1),
    ).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

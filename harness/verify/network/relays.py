"""Does a port answer with the service that belongs there, to every source and from every source port?

A machine or a program that forwards packets makes other services reachable through a port that is open by
intent. It is found where the port then answers as another service: with the certificate of a managed
database, with another droplet's ssh, or differently to other source ports. What is found on the machine
itself (rules that send packets elsewhere, unknown listeners) does not depend on who asks.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.verification import VerificationError

from harness.access.ssh import Access
from harness.core import ports
from harness.core.errors import CommandError, InconclusiveError
from harness.topology.deployment import Deployment
from harness.topology.flows import intended
from harness.topology.model import Topology

# What rules about source ports usually are about: privileged ones, well-known ones, and just above them.
SOURCE_PORTS = (
    1,
    20,
    53,
    67,
    80,
    123,
    443,
    1023,
    1024,
    1025,
    1061,
    1100,
    2049,
    4000,
    8080,
    32768,
    49152,
    61000,
    65535,
)
SAMPLE, SEED = 21, 11
MOST_PORTS = 8  # of one flow
PROBE_SECONDS = 240.0
SSH = 22
Net = IPv4Network | IPv6Network

# Each connection is ended by a reset, so that its source port can be used again at once: one asks in plain
# HTTP, one speaks TLS, one asks for TLS in PostgreSQL's words. A source port that somebody here listens on is
# left out.
SCRIPT = r"""
import base64, errno, json, socket, ssl, struct, sys
from concurrent.futures import ThreadPoolExecutor
wanted, seconds = json.loads(sys.argv[1]), float(sys.argv[2])
# One for all, and not the default one: each of those reads every authority of the system, which takes long.
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

def connect(ip, port, source):
    made = socket.socket()
    made.settimeout(seconds)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    made.bind(("", source))
    made.connect((ip, port))
    return made

def certificate(ip, port, source, postgres):
    with connect(ip, port, source) as made:
        if postgres:
            made.sendall(struct.pack("!ii", 8, 80877103))
            if made.recv(1) != b"S":
                return ""
        with context.wrap_socket(made) as spoken:
            return base64.b64encode(spoken.getpeercert(True)).decode()

def plain(ip, port, source):
    with connect(ip, port, source) as made:
        made.sendall(b"GET / HTTP/1.0\r\nHost: wavetank\r\n\r\n")
        told = b""
        while len(told) < 4096 and b"\r\n\r\n" not in told:
            more = made.recv(4096)
            if not more:
                break
            told += more
            if told.startswith((b"SSH-", b"-ERR", b"\x15\x03", b"E\x00", b"+")):
                break
        return told

def ask(each):
    told = attempt(*each)
    return attempt(*each) if told["error"] and told["error"] != "busy" else told

def attempt(ip, port, source):
    told = {"port": port, "source": source, "ip": ip, "certificate": "", "said": "", "error": ""}
    try:
        told["said"] = plain(ip, port, source)[:600].decode("latin-1")
    except socket.timeout:
        told["error"] = "silent"
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return {**told, "error": "busy"}
        told["error"] = type(error).__name__ + ": " + str(error)
    for postgres in (False, True):
        if told["certificate"] or told["said"].startswith(("SSH-", "HTTP/")):
            break
        try:
            told["certificate"] = certificate(ip, port, source, postgres)
        except (OSError, ValueError):
            pass
    return told

with ThreadPoolExecutor(16) as pool:
    for told in pool.map(ask, wanted):
        print(json.dumps(told))
"""

# What sends packets elsewhere, who listens, and the networks of this machine's own containers.
INSPECT = r"""
echo == rules
for each in iptables-save iptables-legacy-save iptables-nft-save; do
  command -v $each >/dev/null && $each 2>/dev/null
done
command -v nft >/dev/null && nft -s list ruleset 2>/dev/null
echo == balanced
cat /proc/net/ip_vs 2>/dev/null
echo == listeners
ss -Hltunp
echo == networks
docker network ls -q | xargs -r docker network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{end}}'
echo == end
"""
DESTINATION = re.compile(r"(?:--to-destination |\bdnat (?:ip6? )?to )(\S+)")
SENT_ON = re.compile(r"-j (?:REDIRECT|TPROXY)\b|\bredirect\b|\btproxy\b|\bdnat\b", re.IGNORECASE)
LISTENER = re.compile(r'^(tcp|udp)\s+\S+\s+\d+\s+\d+\s+(\S+):(\d+)\s+\S+(?:\s+users:\(\("([^"]+)")?')
# Who may listen on a droplet: its own system, and Docker, whose ports other checks cover.
OWN = (
    "sshd",
    "systemd",
    "dockerd",
    "docker-proxy",
    "containerd",
    "dhclient",
    "dhcpcd",
    "chronyd",
    "ntpd",
    "droplet-agent",
)


@dataclass(frozen=True)
class Answer:
    """A port's answer to one source port: ``kind`` (http, ssh, tls, ...), and its owner, if known."""

    source: int
    kind: str
    owner: str = ""

    @property
    def identity(self) -> str:
        """What has to be the same for every source port."""
        return f"{self.kind} of {self.owner}" if self.owner else self.kind


@dataclass(frozen=True)
class Asked:
    """One port of a node, asked by one of the droplets that may: everything that came back."""

    asker: str
    node: str
    port: int
    answers: tuple[Answer, ...]

    def __str__(self) -> str:
        kinds = sorted({each.identity for each in self.answers})
        return (
            f"{self.node}:{self.port} from {self.asker}, {len(self.answers)} source ports: {', '.join(kinds)}"
        )


def source_ports() -> tuple[int, ...]:
    """The source ports to use: the notable ones, and a sample of all others that is always the same."""
    others = [each for each in range(1, 65536) if each not in SOURCE_PORTS]
    return (*SOURCE_PORTS, *sorted(random.Random(SEED).sample(others, SAMPLE)))  # noqa: S311


def flows(topology: Topology, node: str) -> list[tuple[str, int]]:
    """Which droplets may reach ``node`` on which TCP ports: one of them for each port."""
    found: dict[int, str] = {}
    for flow in intended(topology):
        if flow.destination == node and flow.source in topology.droplets and flow.protocol == "tcp":
            wanted = ports.parse(flow.ports)
            for port in [each for first, last in wanted for each in range(first, last + 1)][:MOST_PORTS]:
                found.setdefault(port, flow.source)
    return [(asker, port) for port, asker in sorted(found.items())]


def ask(access: Access, deployment: Deployment, topology: Topology, node: str) -> list[Asked]:
    """Ask every port of ``node`` that droplets may reach. Raises ``InconclusiveError``."""
    address = deployment.nodes[node].private_ip or ""
    by_asker: dict[str, list[int]] = defaultdict(list)
    for asker, port in flows(topology, node):
        by_asker[asker].append(port)
    found = []
    for asker, wanted in by_asker.items():
        output = _probe(access, asker, address, wanted)
        for port in wanted:
            rows = [each for each in output if each["port"] == port]
            found.append(Asked(asker, node, port, tuple(_answer(each, deployment) for each in rows)))
    return found


def _probe(access: Access, asker: str, address: str, wanted: Sequence[int]) -> list[dict[str, Any]]:
    asked = json.dumps([[address, port, source] for port in wanted for source in source_ports()])
    try:
        output = access.run(asker, f"python3 -I - '{asked}' 3", stdin=SCRIPT.encode(), deadline=PROBE_SECONDS)
    except CommandError as error:
        raise InconclusiveError(f"{asker} cannot ask from chosen source ports: {error}") from error
    return [each for line in output.splitlines() if (each := json.loads(line))["error"] != "busy"]


def _answer(output: Mapping[str, Any], deployment: Deployment) -> Answer:
    said, source = str(output["said"]), int(output["source"])
    if output["certificate"]:
        return Answer(source, "tls", _issuer(str(output["certificate"]), deployment))
    if said.startswith("SSH-"):
        return Answer(source, "ssh")
    if said.startswith("HTTP/"):
        server = re.search(r"^server:\s*(.+?)\s*$", said, re.IGNORECASE | re.MULTILINE)
        return Answer(source, "http", server[1] if server else "")
    if said.startswith(("-ERR", "-NOAUTH", "-DENIED")):
        return Answer(source, "valkey")
    if "MongoDB" in said:
        return Answer(source, "mongodb")
    # What follows may differ each time, as the nonce of a swarm's gossip does.
    unknown = f"a protocol that is not known here, beginning with {said[:1].encode('latin-1').hex()}"
    return Answer(source, unknown if said else str(output["error"]) or "nothing")


def _issuer(certificate: str, deployment: Deployment) -> str:
    """The managed database whose authority has issued a certificate; else its own words."""
    import base64

    found = x509.load_der_x509_certificate(base64.b64decode(certificate))
    for name, database in deployment.databases.items():
        try:
            found.verify_directly_issued_by(x509.load_pem_x509_certificate(database.ca_pem.encode()))
        except (ValueError, TypeError, InvalidSignature, VerificationError):
            continue
        return f"managed database {name}"
    return found.subject.rfc4514_string()


def wrong(asked: Asked, topology: Topology) -> str:
    """What is wrong with how a port answers, naming both services; empty if nothing is.

    Other checks cover whom it refuses or lets wait: here that counts only where it depends on the source
    port.
    """
    mine = belongs(topology, asked.node, asked.port)
    by_identity: dict[str, list[int]] = defaultdict(list)
    for each in asked.answers:
        by_identity[each.identity].append(each.source)
    foreign = [each for each in asked.answers if _is_foreign(each, asked.port, mine)]
    where = f"{asked.node}:{asked.port}, asked by {asked.asker}"
    if foreign:
        them = sorted({each.identity for each in foreign})
        sources = _few(sorted({each.source for each in foreign}))
        answers = f"answers as {', '.join(them)}; {mine or 'another'} belongs there"
        return f"{where} from source ports {sources}, {answers}"
    if len(by_identity) > 1:
        output = "; ".join(f"{identity} to {_few(sources)}" for identity, sources in by_identity.items())
        return f"{where}, answers otherwise to some source ports: {output}"
    return ""


def belongs(topology: Topology, node: str, port: int) -> str:
    """The service that the topology has at a port, with the protocol that its health check speaks there."""
    if port == SSH:
        return "ssh"
    for service in topology.services:
        if node in service.nodes and port in service.ports:
            url = urlsplit(service.health)
            return f"{service.name} ({url.scheme})" if url.port == port else service.name
    return ""


def _is_foreign(answer: Answer, port: int, mine: str) -> bool:
    if "managed database" in answer.owner or answer.kind in ("valkey", "mongodb"):
        return True
    if (answer.kind == "ssh") != (port == SSH):
        return answer.kind == "ssh"
    return answer.kind == "tls" and mine.endswith("(http)")


@dataclass(frozen=True)
class Machine:
    """A machine's own rules and sockets."""

    rules: tuple[str, ...]
    balanced: tuple[str, ...]
    listeners: tuple[str, ...]
    networks: tuple[Net, ...]


def inspect(access: Access, node: str) -> Machine:
    """Inspect a machine from a log-in. Raises ``CommandError``."""
    return read(access.run(node, INSPECT))


def read(output: str) -> Machine:
    """The machine from the script's output."""
    parts: dict[str, list[str]] = {"": []}
    part = ""
    for line in output.splitlines():
        if line.startswith("== "):
            part = line.removeprefix("== ")
            parts[part] = []
        else:
            parts[part].append(line.strip())
    networks = [ip_network(word) for line in parts["networks"] for word in line.split()]
    sent_on = dict.fromkeys(
        line for line in parts["rules"] if SENT_ON.search(line) or DESTINATION.search(line)
    )
    balanced = [line for line in parts["balanced"] if line.startswith("->")][1:]
    return Machine(tuple(sent_on), tuple(balanced), tuple(parts["listeners"]), tuple(networks))


def relaying(machine: Machine) -> list[str]:
    """Rules, as text, that send packets to anything but this machine's own containers."""
    found = [f"rule {rule}" for rule in machine.rules if not _is_own(rule, machine.networks)]
    return [*found, *(f"IPVS {each}" for each in machine.balanced)]


def unknown_listeners(machine: Machine) -> list[str]:
    """Listeners, reachable from elsewhere, of programs that are neither the system's nor Docker's."""
    found = []
    for line in machine.listeners:
        each = LISTENER.match(line)
        if each is None or _is_local(each[2]) or each[4] is None:
            continue  # without a program: the kernel's own, such as VXLAN
        if not each[4].startswith(OWN):
            found.append(f"{each[4]} listens on {each[3]}/{each[1]}")
    return found


def _is_own(rule: str, networks: Iterable[Net]) -> bool:
    if 'xt target "' in rule:
        return True  # nft cannot read what iptables-nft wrote; iptables-save, asked as well, can
    destination = DESTINATION.search(rule)
    if destination is None:
        return False
    text = (
        destination[1].partition("]")[0].strip("[") if "[" in destination[1] else destination[1].split(":")[0]
    )
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return address.is_loopback or any(address in each for each in networks)


def _is_local(address: str) -> bool:
    bare = address.strip("[]").partition("%")[0]
    return bare.startswith("127.") or bare == "::1"


def _few(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:6]))
    return f"{shown} and {len(numbers) - 6} more" if len(numbers) > 6 else shown


def host_keys(known_hosts: str) -> list[str]:
    """Pairs of machines that show the same ssh host key, from the text of a file of known hosts."""
    owners: dict[str, set[str]] = defaultdict(set)
    for line in known_hosts.splitlines():
        name, _, key = line.partition(" ")
        if key:
            owners[key.strip()].add(name)
    return [" and ".join(sorted(names)) for names in owners.values() if len(names) > 1]

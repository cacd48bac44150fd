"""The front door answers as intended, and nothing else answers anybody.

Seen from the internet, by an address that no rule names: where the target has one (an emulator), by that,
else from this machine. A Docker engine publishes ports past the machine's own firewall, so that a Cloud
Firewall is all that stands before them; hence every port that an engine publishes is tried.
"""

from __future__ import annotations

import secrets
import socket
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest

from harness.access.socks import connect
from harness.access.ssh import Access
from harness.core import ports
from harness.core.errors import InconclusiveError
from harness.firewall.model import Pair
from harness.isolation import intended
from harness.judge0 import frontdoor
from harness.target.target import Target
from harness.topology import flows
from harness.topology.deployment import Deployment
from harness.topology.model import INTERNET, Flow, FrontDoor, Topology
from harness.verify.network.probe import Address, State, from_here, from_node, require_control

SSH = 22
# The ports that intruders try first on such machines: engines, swarms, databases, metrics, these
# applications.
TEMPTING = (21, 22, 23, 25, 80, 111, 443, 2358, 2375, 2376, 2377, 3306, 4000, 5432, 6379, 6443, 7946, 8080,
            9100, 9323, 10250, 25060, 25061, 27017)  # fmt: skip
PUBLISHED = "docker ps --format '{{.Ports}}' | grep -oE ':[0-9]+->' | tr -dc '0-9\\n'"
LISTENING = "ss -Hlnt | awk '{print $4}'"
SECONDS = 5.0


@pytest.mark.existing("login")
def test_only_the_front_door_answers_the_internet(
    outsider: Target, deployment: Deployment, topology: Topology, published: Mapping[str, set[int]]
) -> None:
    """Of the likely ports, and of all that engines publish, exactly those answer that the intent opens."""
    publics = {name: node.public_ip for name, node in deployment.nodes.items() if node.public_ip}
    asked = {(address, port) for name, address in publics.items() for port in {*TEMPTING, *published[name]}}
    wanted = {
        (publics[name], port)
        for name in publics
        for port in {*TEMPTING, *published[name]}
        if is_among(port, intended.may(topology, Pair(INTERNET, name, "public"), "tcp"))
    }
    bastion = (publics[topology.management.bastion], SSH)
    if not outsider.info.get("internet_proxy"):
        wanted.add(bastion)  # this machine is the operators'
    if not wanted:
        pytest.skip("nothing is intended to answer the internet, so silence would prove nothing")
    found = from_here(outsider, asked | wanted)
    served = {(address, port) for name, address in publics.items() for port in published[name]}
    require_control(found, min(wanted & served or wanted), "the internet")
    assert {address for address, state in found.items() if state != "filtered"} == wanted
    named = {(publics[flow.destination], int(flow.ports)) for flow in opened_by_name(topology, publics)}
    refused = sorted(address for address in named & found.keys() if found[address] != "open")
    assert refused == [], "the intent opens these, and nothing listens there"


@pytest.mark.needs("http")
@pytest.mark.existing("requests")
def test_port_80_speaks_http(outsider: Target, door: FrontDoor, deployment: Deployment) -> None:
    """A page comes, in plain text, or a way to TLS; and TRACE does not echo the request, whatever comes."""
    mark = secrets.token_hex(8)
    with frontdoor.open_client(outsider, public(deployment, door), door, scheme="http") as client:
        page = client.get("/")
        traced = client.request("TRACE", "/", headers={"X-Wavetank-Trace": mark})
    assert page.status_code == 200 or leads_to_tls(page, door)
    assert mark not in traced.text, f"TRACE is echoed: {traced.status_code} {traced.text[:200]}"


@pytest.mark.needs("https")
@pytest.mark.existing("requests")
def test_port_443_speaks_tls(outsider: Target, door: FrontDoor, deployment: Deployment) -> None:
    """TLS 1.2 or later, with whatever certificate: it cannot name an IP address; no page without TLS."""
    modern = ssl.create_default_context()
    modern.check_hostname, modern.verify_mode = False, ssl.CERT_NONE
    with (
        reach(outsider, public(deployment, door), frontdoor.port_of(door, "https")) as plain,
        modern.wrap_socket(plain, server_hostname=door.server_name or "client") as spoken,
    ):
        assert spoken.version() in ("TLSv1.2", "TLSv1.3")
    port = frontdoor.port_of(door, "https")
    with frontdoor.open_client(outsider, public(deployment, door), door, scheme="http", port=port) as client:
        try:
            answer = client.get("/")
        except httpx.HTTPError:
            return
    assert answer.status_code >= 400


@pytest.mark.existing("requests")
def test_files_of_the_machine_are_not_served(
    outsider: Target, door: FrontDoor, deployment: Deployment
) -> None:
    """Paths that climb out of the site's directory lead nowhere."""
    with frontdoor.open_client(outsider, public(deployment, door), door) as client:
        for path in ("/..%2f..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd"):
            assert "root:" not in client.get(path).text


@pytest.mark.existing("login")
def test_quiet_droplets_take_nothing(
    quiet: tuple[str, ...], observed: Callable[[str], dict[Address, State]], deployment: Deployment,
    topology: Topology,
) -> None:  # fmt: skip
    """Droplets that the intent lets nobody reach, like workers, take ssh from the bastion, nothing else."""
    reached = {
        (node, silent, port)
        for node in topology.droplets
        for silent in quiet
        for port in TEMPTING
        if node != silent and observed(node)[deployment.nodes[silent].private_ip or "", port] != "filtered"
    }
    assert reached == {
        (topology.management.bastion, silent, SSH)
        for silent in quiet
        if silent != topology.management.bastion
    }


@pytest.mark.existing("login")
def test_quiet_droplets_do_not_listen(quiet: tuple[str, ...], access: Access) -> None:
    """But for ssh, and on loopback."""
    for node in quiet:
        output = access.run(node, LISTENING).split()
        ports = {line.rpartition(":")[2] for line in output if not line.startswith(("127.", "[::1]"))}
        assert ports == {str(SSH)}, node


@pytest.fixture(scope="session")
def outsider(target: Target) -> Target:
    """The target as an outsider on the internet reaches it."""
    return replace(target, proxy=target.info.get("internet_proxy") or target.proxy)


@pytest.fixture(scope="session")
def published(access: Access, topology: Topology) -> Mapping[str, set[int]]:
    """The ports that each droplet's engine publishes, by droplet."""
    with ThreadPoolExecutor(len(topology.droplets)) as pool:
        output = pool.map(lambda node: access.run(node, f"{PUBLISHED} || true"), topology.droplets)
        return {
            node: {int(port) for port in text.split()}
            for node, text in zip(topology.droplets, output, strict=True)
        }


@pytest.fixture(scope="session")
def quiet(topology: Topology) -> tuple[str, ...]:
    """The droplets that the intent lets nobody talk to."""
    return tuple(
        name for name in topology.droplets if name not in {flow.destination for flow in topology.intent}
    )


@pytest.fixture(scope="session")
def observed(
    access: Access, deployment: Deployment, topology: Topology, quiet: tuple[str, ...]
) -> Iterator[Callable[[str], dict[Address, State]]]:
    """What each droplet finds at the quiet ones; all probe at once, each with a control that must answer."""

    def from_one(node: str) -> dict[Address, State]:
        known = control(deployment, topology, node)
        asked = [(deployment.nodes[each].private_ip or "", port) for each in quiet for port in TEMPTING]
        found = from_node(access, node, [*asked, *known])
        for address in known[:1]:
            require_control(found, address, node)
        return found

    with ThreadPoolExecutor(len(topology.droplets)) as pool:
        probes: dict[str, Future[dict[Address, State]]] = {
            node: pool.submit(from_one, node) for node in topology.droplets
        }
        yield lambda node: probes[node].result()


def control(deployment: Deployment, topology: Topology, node: str) -> list[Address]:
    """An address that must answer ``node``: a droplet or a database that the intent lets it reach."""
    for flow in flows.intended(topology):
        if flow.source != node or flow.protocol != "tcp":
            continue
        port = ports.parse(flow.ports)[0][0]
        if flow.destination in deployment.nodes:
            return [(deployment.nodes[flow.destination].private_ip or "", port)]
        if flow.destination in deployment.databases:
            return [(deployment.databases[flow.destination].private.host, port)]
    raise InconclusiveError(f"{node} may talk to nobody, so nothing shows that its probes work")


def opened_by_name(topology: Topology, publics: Collection[str]) -> Iterator[Flow]:
    """The flows that let the internet reach a single TCP port of a droplet with a public address.

    A range of ports, or all of them, says nothing about what listens.
    """
    for flow in topology.intent:
        from_outside = flow.source == INTERNET and flow.destination in publics
        if from_outside and flow.protocol == "tcp" and flow.ports.isdecimal() and int(flow.ports):
            yield flow


def leads_to_tls(answer: httpx.Response, door: FrontDoor) -> bool:
    """Whether a page in plain text only says to ask over TLS, where that is the front door's scheme."""
    if door.scheme != "https" or not answer.is_redirect:
        return False
    return urlsplit(answer.headers["location"]).scheme == "https"


def reach(target: Target, address: str, port: int) -> socket.socket:
    """A connection to a port, as the target says."""
    if target.proxy:
        return connect(target.proxy, address, port, timeout=SECONDS)
    return socket.create_connection((address, port), SECONDS)


def public(deployment: Deployment, door: FrontDoor) -> str:
    """The front door's public address."""
    return deployment.nodes[door.node].public_ip or ""


def is_among(port: int, allowed: ports.Ports) -> bool:
    """Whether a port is in a set."""
    return any(first <= port <= last for first, last in allowed)

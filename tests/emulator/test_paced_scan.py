"""The paced prober, with the emulator taken for a cloud: real packets, a truth that is known, no counters."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from small_plan import shell, write_plan

from harness import provision
from harness.access.ssh import Access, open_access
from harness.core import ports
from harness.core.errors import ResourceError
from harness.core.names import resource_name
from harness.core.ports import ALL, NONE, Ports
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.firewall.model import Pair
from harness.isolation.model import Observation, ScanResult
from harness.isolation.paced import observe as paced
from harness.isolation.paced.probe_sources import Pace
from harness.isolation.paced.remote_scripts import PYTHON
from harness.run.rundir import RunDir
from harness.target.api import Api, every
from harness.target.target import Target, resolve_target
from harness.topology import load
from harness.topology.deployment import Deployment

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

RUN = "paced"
SEEDED = ports.parse("20000-20099")
LISTENING = ports.parse("20001,20050,20077")
OPEN = ports.union(LISTENING, ports.parse("22,8080"))
UDP = ports.parse("53,4789,30000-30003")
TO_BACK = Pair("front", "back")
TO_FRONT = Pair("back", "front")
QUICK = Pace(in_flight=6000, rate=20_000)

LISTENERS = """
import socket, sys, threading
tcp = [socket.create_server(("", int(port))) for port in sys.argv[1].split(",")]
echoing, silent = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
echoing.bind(("", 30000))
silent.bind(("", 30001))
def echo():
    while True:
        data, peer = echoing.recvfrom(2048)
        echoing.sendto(data, peer)
threading.Thread(target=echo, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Standing:
    """The small plan, up, with seeded ports from front to back."""

    target: Target
    deployment: Deployment
    access: Access

    def observe(self, *pairs: Pair, **asked: Any) -> Observation:
        options: dict[str, Any] = {"icmp": False, "controls": False, "pace": QUICK, **asked}
        return paced.observe(self.target, self.deployment, self.access, pairs, **options)

    def firewalls(self) -> set[str]:
        with Api(self.target, read_only=True) as api:
            return {each["name"] for each in every(api.client.firewalls.list, "firewalls")}


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """Up once for all; the tests leave it as it is."""
    directory = tmp_path_factory.mktemp("paced")
    plan = write_plan(directory)
    with shell(directory, plan) as wavetank:
        done = wavetank.up(f"--run={RUN}").end(300)
        assert done.code == 0, done.err
        target = resolve_target("local", state_dir=wavetank.state_dir, progress=Progress(quiet=True))
        topology = load(plan)
        deployment = provision.observe(target, topology, RUN)
        access = open_access(RunDir(wavetank.state_dir, RUN), target, topology, deployment)
        try:
            seed(target, deployment)
            with listening(access):
                yield Standing(target, deployment, access)
        finally:
            access.close()


def seed(target: Target, deployment: Deployment) -> None:
    """Admit some ports from front to back, which no topology says."""
    front, back = (deployment.nodes[name].id for name in ("front", "back"))
    rules = [("tcp", ports.render(SEEDED)), ("udp", "30000-30002"), ("icmp", None)]
    given = [{"protocol": name, **({"ports": each} if each else {})} for name, each in rules]
    with Api(target) as api:
        for name, number, side in (("in", back, "inbound"), ("out", front, "outbound")):
            peers = "sources" if side == "inbound" else "destinations"
            other = front if side == "inbound" else back
            body = {
                "name": resource_name(RUN, f"seeded-{name}"),
                f"{side}_rules": [{**each, peers: {"droplet_ids": [other]}} for each in given],
                "droplet_ids": [number],
            }
            api.client.firewalls.create(body=body)


@contextmanager
def listening(access: Access) -> Iterator[None]:
    """Listeners on back, which go with the ssh that holds them."""
    listed = ",".join(str(first) for first, _ in LISTENING)
    access.run("back", "true")
    argv = access.argv("back", ["python3", "-Ic", LISTENERS, listed])
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.kill()


def one(observation: Observation, pair: Pair, protocol: str = "tcp") -> ScanResult:
    (found,) = (each for each in observation.results if (each.pair, each.protocol) == (pair, protocol))
    return found


def require_truth(result: ScanResult, asked: Ports) -> None:
    """Every port from front to back is what it was made to be."""
    assert result.inconclusive == NONE, result.doubts
    assert result.open == ports.intersect(OPEN, asked)
    assert result.closed == ports.intersect(ports.subtract(SEEDED, LISTENING), asked)
    assert result.filtered == ports.subtract(asked, ports.union(OPEN, SEEDED))


def test_every_port_of_a_pair_is_what_it_is(standing: Standing) -> None:
    """65,535 ports, two passes: none missed and none false; its own answers are the control."""
    told: list[tuple[int, int]] = []
    observation = standing.observe(TO_BACK, progress=lambda *each: told.append(each))
    result = one(observation, TO_BACK)
    require_truth(result, ALL)
    assert result.evidence["control_answered"] == ports.size(ports.union(OPEN, SEEDED))
    assert (observation.partial, observation.passes, observation.evidence_sources) == ("", 2, ("prober",))
    assert observation.probes == result.probes >= 2 * 65535
    assert told[-1] == (2 * 65535, 2 * 65535)


def test_silence_without_a_control_proves_nothing(standing: Standing) -> None:
    """From back to front nothing may go, so without a control port nothing is said."""
    asked = ports.parse("1-2000")
    result = one(standing.observe(TO_FRONT, tcp=asked), TO_FRONT)
    assert result.inconclusive == asked
    assert "nothing shows" in result.doubts[0]


def test_a_control_port_makes_silence_a_verdict(standing: Standing) -> None:
    """It is open for as long as the scan; its own port is judged by what it was before."""
    before = standing.firewalls()
    asked = ports.parse("1-300")
    outside = Pair("internet", "front", "public")
    observation = standing.observe(
        TO_FRONT, TO_BACK, outside, tcp=asked, udp=ports.parse("53"), icmp=True, controls=True
    )
    result = one(observation, TO_FRONT)
    assert (result.filtered, result.inconclusive) == (asked, NONE), result.doubts
    assert result.evidence["control_port"] == 7
    require_truth(one(observation, TO_BACK), asked)
    assert one(observation, TO_FRONT, "udp").filtered == ports.parse("53")
    assert one(observation, TO_FRONT, "icmp").filtered == ALL
    assert one(observation, outside).filtered == asked
    assert one(observation, outside, "udp").inconclusive == ports.parse("53")
    assert standing.firewalls() == before


def test_datagrams_are_vouched_for_by_who_receives_them(standing: Standing) -> None:
    """An answer is open; what arrives unanswered or is refused is closed; what does not is filtered."""
    observation = standing.observe(TO_BACK, tcp=ports.parse("22"), udp=UDP, icmp=True)
    result = one(observation, TO_BACK, "udp")
    assert result.open == ports.parse("30000")
    assert result.closed == ports.parse("30001-30002")
    assert result.filtered == ports.parse("53,4789,30003")
    assert result.evidence["arrived_ports"] == 3
    assert one(observation, TO_BACK, "icmp").open == ALL


def test_a_database_is_shown_in_halves(standing: Standing) -> None:
    """Back reaches it, and front reaches something: then front's silence there is a verdict."""
    port = ports.parse("25061")
    pairs = Pair("front", "cache"), Pair("back", "cache"), TO_BACK
    observation = standing.observe(*pairs, tcp=ports.parse("22,25061"), udp=ports.parse("53"))
    assert one(observation, pairs[1]).open == port
    result = one(observation, pairs[0])
    assert result.filtered == ports.parse("22,25061")
    assert "in halves" in " ".join(result.doubts)
    asked = [each.protocol for each in observation.results if each.pair == pairs[0]]
    assert asked == ["tcp"], "nobody could testify to anything else there"
    alone = one(standing.observe(pairs[0], tcp=port), pairs[0])
    assert alone.inconclusive == port


def test_a_lost_source_keeps_what_it_saw(standing: Standing) -> None:
    """Its ssh is killed half-way: a partial result that says so, and nothing stays on the node."""
    half, asked = Half(5000), ports.parse("1-24000")
    with ThreadPoolExecutor(1) as pool:
        slow = Pace(in_flight=2000, rate=4000)
        future = pool.submit(
            lambda: standing.observe(TO_BACK, TO_FRONT, tcp=asked, pace=slow, progress=half.hear)
        )
        half.wait()
        os.kill(scanning("front"), signal.SIGKILL)
        observation = future.result(300)
    assert "front was lost" in observation.partial
    result = one(observation, TO_BACK)
    assert ports.size(result.inconclusive) > 0
    assert "front was lost" in " ".join(result.doubts)
    assert result.probed == asked
    assert ports.subtract(result.reachable, ports.union(OPEN, SEEDED)) == NONE
    wait_for("the node to be quiet", lambda: quiet(standing.access, "front"), deadline=30)


def test_what_is_gone_is_named(standing: Standing) -> None:
    """A droplet that the API does not know ends the scan before it begins."""
    nodes = standing.deployment.nodes
    missing = replace(standing.deployment, nodes={**nodes, "back": replace(nodes["back"], id=999)})
    with pytest.raises(ResourceError, match=r"droplet back is gone \(404\)"):
        paced.observe(standing.target, missing, standing.access, [TO_BACK])


class Half:
    """Hears of progress, and knows when so much is done."""

    def __init__(self, enough: int) -> None:
        self.enough, self.sent = enough, 0

    def hear(self, sent: int, _total: int) -> None:
        self.sent = sent

    def wait(self) -> None:
        def probe() -> None:
            if self.sent < self.enough:
                raise NotYet(f"{self.sent} sent")

        wait_for("half of the scan", probe, deadline=60, max_pause=0.1)


def scanning(node: str) -> int:
    """The ssh of this process that runs a script on ``node``."""
    mine = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            words = (each / "cmdline").read_bytes().split(b"\0")
            parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # gone meanwhile
        if parent == os.getpid() and node.encode() in words and PYTHON[-1][:40].encode() in b" ".join(words):
            mine.append(int(each.name))
    (found,) = mine
    return found


def quiet(access: Access, node: str) -> None:
    """Raise ``NotYet`` while connections are being begun on ``node``."""
    begun = access.run(node, "ss -Htn state syn-sent | wc -l").strip()
    if begun != "0":
        raise NotYet(f"{begun} connections")

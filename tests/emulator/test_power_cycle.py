"""No moment without enforcement: packets flow while a droplet goes and comes, and while the emulator dies.

Packets are sent to the droplet all the time, from who may and from who may not; the droplet itself sends as
soon as it boots. What counts is what the fabric puts on a wire: not one packet that the rules forbid.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest
from model_rig import Machine, Rig, rig, rule
from model_wire import AGENT, Shape

from emulator.docker.fabric.layout import INTERNET
from harness.core.wait import NotYet, wait_for

pytestmark = pytest.mark.docker

BOOT = 60.0
UNIT = """[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
ExecStart=/usr/bin/python3 /opt/early/agent.py alone '@SHAPES@'
Restart=always
[Install]
WantedBy=sysinit.target
"""
USER_DATA = """#!/bin/sh -e
mkdir -p /opt/early
echo @AGENT@ | base64 -d > /opt/early/agent.py
echo @UNIT@ | base64 -d > /etc/systemd/system/early.service
systemctl daemon-reload
systemctl enable --now early.service
"""


@dataclass(frozen=True)
class Flow:
    """Packets that are sent all the time: ``key`` names them in the agent's tally."""

    key: str
    shape: Shape
    admitted: bool


@dataclass(frozen=True)
class Watch:
    """A rig with packets flowing."""

    rig: Rig
    flows: Sequence[Flow]

    def tally(self, since: int = 0) -> Mapping[str, int]:
        """Packets in the fabric since a record."""
        told: Mapping[str, int] = self.rig.wire.call("tally", since=since)
        return told

    def seen(self, flow: Flow, way: str, since: int = 0) -> int:
        """Packets of a flow that the fabric took in, or put out."""
        found = self.tally(since).items()
        return sum(packets for key, packets in found if key.startswith(f"{flow.key} {way} "))

    def await_all(self, since: int) -> None:
        """Wait until every flow flows, and what is admitted arrives."""

        def flowing() -> None:
            for flow in self.flows:
                for way in ("in", "out") if flow.admitted else ("in",):
                    if not self.seen(flow, way, since):
                        raise NotYet(f"{flow.key} {dict(flow.shape)} does not go {way}")

        wait_for("packets to flow", flowing, deadline=BOOT)

    def judge(self, since: int) -> None:
        """Nothing forbidden was put on a wire since a record."""
        self.rig.verdicts([])
        assert not self.rig.wire.call("lost", name="fabric"), "the tap could not keep up"
        passed = {str(flow.shape): self.seen(flow, "out", since) for flow in self.flows if not flow.admitted}
        assert not any(passed.values()), passed


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """Droplets one and three, and two, which is covered from before its first packet on."""
    with rig(tmp_path_factory.mktemp("cycle") / "tank", ["one", "three"]) as tank:
        two = _next_machine(tank)
        tank.machines["two"] = two
        inward, outward = _inward(tank), _outward(tank)
        tank.call("POST", "tags", {"name": "cycled"})
        peers = {"droplet_ids": [int(tank.machines["one"].number)]}
        rules = {
            "inbound": [rule("udp", "7000", "sources", **peers)],
            "outbound": [rule("udp", "7001", "destinations", **peers)],
        }
        tank.call("POST", "firewalls", tank.wall("wall", tags=["cycled"], **rules))
        tank.firewalls()
        tank.wire.begin("inward", [shape for shape, _ in inward])
        tank.add("two", tags=["cycled"], user_data=_user_data([shape for shape, _ in outward]))
        assert (tank.machines["two"].private, tank.machines["two"].public) == (two.private, two.public)
        tank.leave("two")
        flows = [Flow(f"inward:{place}", *flow) for place, flow in enumerate(inward)]
        flows += [Flow(f"alone:{place}", *flow) for place, flow in enumerate(outward, 1)]
        yield Watch(tank, flows)


def _next_machine(tank: Rig) -> Machine:
    """Where the next droplet will be: addresses are given in their order."""
    private = max(IPv4Address(one.private) for one in tank.machines.values()) + 1
    public = max(IPv4Address(one.public) for one in tank.machines.values()) + 1
    return Machine("two", "", "", str(private), str(public))


def _inward(tank: Rig) -> list[tuple[Shape, bool]]:
    return [
        (tank.shape("one", "two", "udp", 7000), True),
        (tank.shape("one", "two", "udp", 7003), False),
        (tank.shape("one", "two", "tcp", 7000), False),
        (tank.shape("one", "two", "icmp"), False),
        (tank.shape("one", "two", "50"), False),
        (tank.shape("three", "two", "udp", 7000), False),
        (tank.shape("three", "two", "tcp", 7000), False),
        (tank.shape("three", "two", "udp", 7000, side="public"), False),
        (tank.shape("internet", "two", "udp", 7000, side="public"), False),
        (tank.shape("internet", "two", "tcp", 22, side="public"), False),
    ]


def _outward(tank: Rig) -> list[tuple[Shape, bool]]:
    false = tank.machines["three"].private
    return [
        (tank.shape("two", "one", "udp", 7001), True),
        (tank.shape("two", "one", "udp", 7002), False),
        (tank.shape("two", "one", "tcp", 7001), False),
        (tank.shape("two", "one", "icmp"), False),
        (tank.shape("two", "one", "50"), False),
        (tank.shape("two", "three", "udp", 7001), False),
        (tank.shape("two", "three", "tcp", 22, side="public"), False),
        (tank.shape("two", "one", "udp", 7001, source=false), False),
        ({**tank.shape("two", "one", "udp", 7001, side="public"), "to": INTERNET}, False),
    ]


def _user_data(shapes: Sequence[Shape]) -> str:
    unit = UNIT.replace("@SHAPES@", json.dumps(shapes))
    packed = {"@AGENT@": AGENT.read_text(), "@UNIT@": unit}
    text = USER_DATA
    for word, content in packed.items():
        text = text.replace(word, base64.b64encode(content.encode()).decode())
    return text


def off_and_on(tank: Rig) -> None:
    """The power is cut and comes back."""
    tank.act("two", "power_off")
    tank.act("two", "power_on")


def shutdown_and_on(tank: Rig) -> None:
    """The droplet is asked to stop, and started."""
    tank.act("two", "shutdown")
    tank.act("two", "power_on")


def reboot(tank: Rig) -> None:
    """One action."""
    tank.act("two", "reboot")


def power_cycle(tank: Rig) -> None:
    """One action."""
    tank.act("two", "power_cycle")


def rebuild(tank: Rig) -> None:
    """A fresh disk, a fresh container."""
    tank.act("two", "rebuild")


def killed(tank: Rig) -> None:
    """The emulator is killed and started."""
    tank.restart()


def killed_while_cycling(tank: Rig) -> None:
    """The emulator is killed as soon as it has accepted a power cycle, which its successor does."""
    number = tank.machines["two"].number
    tank.call("POST", f"droplets/{number}/actions", {"type": "power_cycle"})
    tank.restart()
    assert tank.settled(number)["status"] == "active"


def killed_while_changing(tank: Rig) -> None:
    """The emulator is killed as soon as it has accepted rules, which its successor enforces."""
    tcp = tank.shape("three", "one", "tcp", 9)
    for _ in range(3):
        wall = tank.wall("other", "three", outbound=[rule("udp", "1-65535", "destinations")])
        path = f"firewalls/{tank.call('POST', 'firewalls', wall)['firewall']['id']}"
        tank.restart()
        tank.firewalls()
        assert tank.verdicts([tcp]) == ["filtered"]
        tank.call("DELETE", path)
        tank.in_force()
        assert tank.verdicts([tcp]) == ["closed"]


def others_cycle(tank: Rig) -> None:
    """A neighbour goes and comes, from which packets are sent to two and to which two sends."""
    tank.leave("three")
    tank.act("three", "power_cycle")
    tank.enter("three")


ALL: tuple[Callable[[Rig], None], ...] = (
    off_and_on, shutdown_and_on, reboot, power_cycle, rebuild, killed, killed_while_cycling,
    killed_while_changing, others_cycle,
)  # fmt: skip


def test_nothing_forbidden_passes_at_the_first_boot(watch: Watch) -> None:
    """A droplet is covered by its tag from before its first packet on."""
    watch.await_all(0)
    watch.judge(0)


@pytest.mark.parametrize("happens", ALL, ids=lambda happens: happens.__name__)
def test_nothing_forbidden_passes_whatever(watch: Watch, happens: Callable[[Rig], None]) -> None:
    """Before, while and after: forbidden packets are sent all the time, and none is put on a wire."""
    begun = watch.rig.wire.counts()["fabric"]
    watch.await_all(begun)
    happens(watch.rig)
    watch.await_all(watch.rig.wire.counts()["fabric"])
    watch.judge(begun)

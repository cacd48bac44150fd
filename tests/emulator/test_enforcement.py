"""From the API to packets: a change is in force as a whole when it is said to be; connections outlive it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from model_rig import ANYWHERE, Rig, rig, rule
from model_wire import Sent, Shape

from harness.core.wait import NotYet, wait_for

pytestmark = pytest.mark.docker

BOTH, NEITHER, OLD, NEW = 1000, 2000, 3000, 4000
SWAPS = 12


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Droplets one, two and three, and a database."""
    with rig(tmp_path_factory.mktemp("enforcement") / "tank", ["one", "two", "three"]) as made:
        made.add_database("store")
        yield made


@pytest.fixture
def tank(shared: Rig) -> Iterator[Rig]:
    """The shared rig without firewalls and tags."""
    yield shared
    shared.clear()


@dataclass
class Probing:
    """A stream of packets, and the changes made meanwhile: what passes (shapes' places) before and after."""

    rig: Rig
    shapes: Sequence[Shape]
    admitted: frozenset[int] = frozenset()
    steps: list[tuple[int, int, frozenset[int], frozenset[int]]] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    arrived: frozenset[int] = frozenset()
    came: frozenset[int] = frozenset()

    def begin(self, *admitted: int) -> None:
        """Start with these shapes admitted, which they must be already."""
        self.admitted = frozenset(admitted)
        self.rig.wire.begin("probing", self.shapes)
        self._await_more()

    def change(self, make: Callable[[], object], *admitted: int, silent: bool = False) -> None:
        """Make one API call; from when it is said to be in force, these shapes pass and no others.

        ``silent``: nothing says when the change itself is in force, so a later one is waited for.
        """
        begun = self.rig.wire.mark("probing")
        make()
        (self.rig.in_force if silent else self.rig.firewalls)()
        after = frozenset(admitted)
        self.steps.append((begun, self.rig.wire.mark("probing"), self.admitted, after))
        self.admitted = after
        self._await_more()

    def end(self) -> None:
        """Stop, and wait for what is under way."""
        self.sent = self.rig.wire.end("probing")
        self.rig.verdicts([])
        assert not self.rig.wire.call("lost", name="fabric"), "the tap could not keep up"
        seen = self.rig.wire.seen("fabric")
        self.arrived = frozenset(one.number for one in seen if one.way == "out")
        self.came = frozenset(one.number for one in seen if one.way == "in")

    def judge(self) -> None:
        """Every packet fared as the rules of its time say, and each change took effect at one moment."""
        place = 0
        for begun, done, before, after in self.steps:
            self._all_alike(place, begun, before)
            self._one_moment(begun, done, before, after)
            place = done
        self._all_alike(place, len(self.sent), self.admitted)

    def _all_alike(self, first: int, last: int, admitted: frozenset[int]) -> None:
        for packet in self.sent[first:last]:
            assert (packet.number in self.arrived) == (packet.shape in admitted), self._tell(packet)

    def _one_moment(self, first: int, last: int, before: frozenset[int], after: frozenset[int]) -> None:
        changed = False
        for packet in self.sent[first:last]:
            passed, old, new = (packet.number in self.arrived, packet.shape in before, packet.shape in after)
            if old == new or not changed:
                changed = changed or passed != old
                assert passed in (old, new), self._tell(packet)
            else:
                assert passed == new, f"{self._tell(packet)} after the change was in effect for another"

    def _tell(self, packet: Sent) -> str:
        there = "was dropped" if packet.number in self.came else "never came to the fabric"
        fate = "arrived" if packet.number in self.arrived else there
        return (
            f"{dict(self.shapes[packet.shape])}, packet {self.sent.index(packet)} of {len(self.sent)}, {fate}"
        )

    def _await_more(self) -> None:
        here = self.rig.wire.mark("probing")

        def more() -> None:
            if self.rig.wire.mark("probing") < here + 20 * len(self.shapes):
                raise NotYet("the stream has hardly begun")

        wait_for("more packets", more, deadline=10, first_pause=0.01)


def both_ways(*ports: int) -> dict[str, object]:
    """Rules that let these ports out of and into a droplet, each as its own."""
    return {
        "inbound": [rule("udp", str(port), "sources") for port in ports],
        "outbound": [rule("udp", str(port), "destinations") for port in ports],
    }


def test_swapping_rules_is_atomic(tank: Rig) -> None:
    """Under constant probing each swap takes effect at one moment, for both gates and all ports at once."""
    old = tank.wall("wall", "one", "two", **both_ways(BOTH, OLD))
    new = tank.wall("wall", "one", "two", **both_ways(BOTH, NEW))
    path = f"firewalls/{tank.call('POST', 'firewalls', old)['firewall']['id']}"
    tank.firewalls()
    ports = (BOTH, NEITHER, OLD, NEW)
    probing = Probing(tank, [tank.shape("one", "two", "udp", port) for port in ports])
    probing.begin(0, 2)
    for _ in range(SWAPS // 2):
        probing.change(lambda: tank.call("PUT", path, new), 0, 3)
        probing.change(lambda: tank.call("PUT", path, old), 0, 2)
    probing.end()
    probing.judge()


def test_every_kind_of_change_is_in_force_once_it_is_said_to_be(tank: Rig) -> None:
    """Rules, droplets, tags, whole firewalls, trusted sources: no packet is judged by what was before."""
    shapes = [
        tank.shape("one", "two", "udp", OLD),
        tank.shape("one", "two", "tcp", NEW),
        tank.shape("one", "two", "icmp"),
        tank.shape("three", "two", "udp", OLD),
        tank.shape("internet", "two", "udp", OLD, side="public"),
        tank.shape("two", "one", "udp", OLD),
    ]
    two, three = ({"droplet_ids": [int(tank.machines[name].number)]} for name in ("two", "three"))
    tagged = {"resources": [{"resource_type": "droplet", "resource_id": tank.machines["one"].number}]}
    tank.call("POST", "tags", {"name": "friend"})
    only_friends = rule("udp", str(OLD), "sources", tags=["friend"])
    tcp = {"inbound_rules": [rule("tcp", str(NEW), "sources")]}
    ping = {"inbound_rules": [{"protocol": "icmp", "sources": ANYWHERE}]}
    everywhere = {"outbound_rules": [rule("udp", "all", "destinations")]}
    paths: list[str] = []

    def create() -> None:
        made = tank.call("POST", "firewalls", tank.wall("wall", "two", inbound=[only_friends]))
        paths.append(f"firewalls/{made['firewall']['id']}")

    probing = Probing(tank, shapes)
    probing.begin(0, 1, 2, 3, 4, 5)
    probing.change(create)
    path = paths[0]
    probing.change(lambda: tank.call("POST", "tags/friend/resources", tagged), 0)
    probing.change(lambda: tank.call("POST", f"{path}/rules", tcp), 0, 1)
    probing.change(lambda: tank.call("POST", f"{path}/rules", ping), 0, 1, 2)
    probing.change(lambda: tank.call("POST", f"{path}/rules", everywhere), 0, 1, 2, 5)
    probing.change(lambda: tank.call("DELETE", f"{path}/rules", tcp), 0, 2, 5)
    probing.change(lambda: tank.call("DELETE", "tags/friend/resources", tagged), 2, 5)
    probing.change(lambda: tank.call("DELETE", f"{path}/droplets", two), 0, 1, 2, 3, 4, 5)
    probing.change(lambda: tank.call("POST", f"{path}/droplets", two), 2, 5)
    probing.change(lambda: tank.call("POST", f"{path}/droplets", three), 2, 5)
    probing.change(lambda: tank.call("DELETE", "tags/friend"), 2, 5)
    probing.change(lambda: tank.call("DELETE", path), 0, 1, 2, 3, 4, 5, silent=True)
    probing.end()
    probing.judge()


def test_trusted_sources_are_in_force_when_later_rules_are(tank: Rig) -> None:
    """A database closes to who is not named, and opens again, each at one moment."""
    store = tank.machines["store"]
    shapes = [tank.shape(name, "store", "tcp", store.port) for name in ("one", "two")]
    shapes.append(tank.shape("internet", "store", "tcp", store.port, side="public"))

    def trust(*rules: tuple[str, str]) -> Callable[[], object]:
        body = {"rules": [{"type": kind, "value": value} for kind, value in rules]}
        return lambda: tank.call("PUT", f"databases/{store.number}/firewall", body)

    probing = Probing(tank, shapes)
    probing.begin(0, 1, 2)
    probing.change(trust(("droplet", tank.machines["one"].number)), 0, silent=True)
    probing.change(trust(("ip_addr", tank.machines["two"].private)), 1, silent=True)
    probing.change(trust(("ip_addr", "192.0.2.0/24")), 2, silent=True)
    probing.change(trust(), 0, 1, 2, silent=True)
    probing.end()
    probing.judge()


def test_connections_outlive_changes_and_new_ones_do_not_begin(tank: Rig) -> None:
    """Rules removed, a firewall attached and detached, a tag moved, a neighbour power-cycled."""
    ssh = tank.shape("one", "two", "tcp", 5000)
    rules = {"inbound": [rule("tcp", "5000", "sources", tags=["friend"])]}
    tagged = {"resources": [{"resource_type": "droplet", "resource_id": tank.machines["one"].number}]}
    two = {"droplet_ids": [int(tank.machines["two"].number)]}
    tank.call("POST", "tags", {"name": "friend"})
    tank.call("POST", "tags/friend/resources", tagged)
    path = f"firewalls/{tank.call('POST', 'firewalls', tank.wall('wall', 'two', **rules))['firewall']['id']}"
    tank.firewalls()
    tank.wire.call("talk", name="old", client=tank.path("one"), server=tank.path("two"), shape=ssh)

    def both(verdict: str) -> None:
        tank.firewalls()
        assert tank.verdicts([ssh]) == [verdict]
        assert tank.wire.call("say", name="old", seconds=5), "the connection that was there is cut"

    try:
        both("closed")
        tank.call("DELETE", "tags/friend/resources", tagged)
        both("filtered")
        tank.call("POST", "tags/friend/resources", tagged)
        both("closed")
        only_udp = tank.wall("wall", "two", inbound=[rule("udp", "1", "sources")])
        tank.call("PUT", path, only_udp)
        both("filtered")
        tank.leave("three")
        tank.act("three", "power_cycle")
        tank.enter("three")
        both("filtered")
        tank.call("DELETE", f"{path}/droplets", two)
        both("closed")
        tank.call("POST", f"{path}/droplets", two)
        both("filtered")
    finally:
        tank.wire.call("hang_up", name="old")


def test_a_connection_does_not_outlive_its_machine(tank: Rig) -> None:
    """After a power cycle, packets of a connection from before it are judged like any others."""
    service = tank.shape("one", "two", "tcp", 5001)
    wall = tank.wall("wall", "two", inbound=[rule("tcp", "5001", "sources")])
    path = f"firewalls/{tank.call('POST', 'firewalls', wall)['firewall']['id']}"
    tank.firewalls()
    tank.wire.call("talk", name="old", client=tank.path("one"), server=tank.path("two"), shape=service)
    assert tank.wire.call("say", name="old", seconds=5)
    tank.call("PUT", path, tank.wall("wall", "two", inbound=[rule("udp", "1", "sources")]))
    tank.leave("two")
    tank.act("two", "power_cycle")
    tank.enter("two")
    before = tank.counted("two", "in", "drop")
    assert not tank.wire.call("say", name="old", seconds=0.5)
    tank.wire.call("hang_up", name="old")
    assert tank.counted("two", "in", "drop") > before


def test_forgotten_connections_are_judged_anew(tank: Rig) -> None:
    """By the rules that are in force now: one is cut, the other one goes on."""
    shapes = {port: tank.shape("one", "two", "tcp", port) for port in (5002, 5003)}
    wall = tank.wall("wall", "two", inbound=[rule("tcp", "5002-5003", "sources")])
    path = f"firewalls/{tank.call('POST', 'firewalls', wall)['firewall']['id']}"
    tank.firewalls()
    for port, shape in shapes.items():
        ends = {"client": tank.path("one"), "server": tank.path("two")}
        tank.wire.call("talk", name=str(port), shape=shape, **ends)
    tank.call("PUT", path, tank.wall("wall", "two", inbound=[rule("tcp", "5003", "sources")]))
    tank.firewalls()
    assert [tank.wire.call("say", name=str(port), seconds=5) for port in shapes] == [True, True]
    tank.https.delete(f"/_wavetank/connections/droplet/{tank.machines['two'].number}").raise_for_status()
    assert tank.wire.call("say", name="5003", seconds=5)
    assert not tank.wire.call("say", name="5002", seconds=0.5)
    for port in shapes:
        tank.wire.call("hang_up", name=str(port))

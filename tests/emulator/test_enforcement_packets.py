"""Packets that try to get round the rules: other protocols, false sources, fragments, IP options."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator, Sequence

import pytest
from model_rig import ANYWHERE, Rig, Side, rig, rule
from model_wire import Shape

from emulator.docker.fabric.layout import INTERNET, METADATA, OPERATOR, PUBLIC_GATEWAY, RESOLVER

pytestmark = pytest.mark.docker

OTHERS = {"IPIP": 4, "GRE": 47, "ESP": 50, "AH": 51, "SCTP": 132, "unassigned": 200}
OPEN, SHUT = 7000, 7001
INBOUND = [
    rule("tcp", "all", "sources"),
    rule("udp", "all", "sources"),
    {"protocol": "icmp", "sources": ANYWHERE},
]
OUTBOUND = [
    rule("tcp", "all", "destinations"),
    rule("udp", "all", "destinations"),
    {"protocol": "icmp", "destinations": ANYWHERE},
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Droplets one, two and three."""
    with rig(tmp_path_factory.mktemp("packets") / "tank", ["one", "two", "three"]) as made:
        yield made


@pytest.fixture
def tank(shared: Rig) -> Iterator[Rig]:
    """The shared rig without firewalls and tags."""
    yield shared
    shared.clear()


def shut(tank: Rig, shapes: Sequence[Shape], *denied: tuple[str, str, str, int]) -> None:
    """No packet of these shapes arrives, and the fabric counts each: (machine, gate, verdict, packets)."""
    before = [tank.counted(*gate) for *gate, _ in denied]
    assert tank.verdicts(shapes) == ["filtered"] * len(shapes)
    after = [tank.counted(*gate) for *gate, _ in denied]
    counted = [late - early for late, early in zip(after, before, strict=True)]
    assert counted == [packets for *_, packets in denied]


@pytest.mark.parametrize("number", OTHERS.values(), ids=OTHERS.keys())
def test_other_protocols_pass_no_covered_droplet(tank: Rig, number: int) -> None:
    """TCP, UDP and ICMP are all that a firewall can allow, in either direction; uncovered, all pass."""
    inward = [tank.shape("one", "two", str(number)), tank.shape("one", "two", str(number), side="public")]
    outward = [tank.shape("two", "one", str(number)), tank.shape("two", "one", str(number), side="public")]
    abroad = [tank.shape("internet", "two", str(number), side="public")]
    assert tank.verdicts([*inward, *outward, *abroad]) == ["passed"] * 5
    tank.call("POST", "firewalls", tank.wall("wall", "two", inbound=INBOUND, outbound=OUTBOUND))
    tank.firewalls()
    assert tank.verdicts([tank.shape("one", "two", "udp", 9), tank.shape("two", "one", "udp", 9)]) == [
        "passed",
        "passed",
    ]
    # Though the conntrack table knows these flows from before, both ways.
    shut(tank, [*inward, *abroad], ("two", "in", "drop", 3))
    shut(tank, outward, ("two", "out", "drop", 2))


@pytest.mark.parametrize("protocol", ["udp", "tcp", "icmp"])
def test_false_sources_leave_no_droplet(tank: Rig, protocol: str) -> None:
    """A packet with another address than its interface's own gets nowhere and is counted, covered or not."""
    one, two = tank.machines["one"], tank.machines["two"]
    gateway = ".".join([*one.private.split(".")[:3], "1"])
    false = [
        two.private, two.public, INTERNET, OPERATOR, PUBLIC_GATEWAY, RESOLVER, gateway, METADATA, "127.0.0.1",
        "255.255.255.255", "224.0.0.1", "10.255.255.254",
    ]  # fmt: skip
    shapes = [
        tank.shape("one", where, protocol, 9, side=side, source=source)
        for side, own in (("private", one.public), ("public", one.private))
        for where in ("two", "three")
        for source in [own, *false]
    ]
    shapes += [tank.shape("one", "internet", protocol, 9, side="public", source=source) for source in false]
    shut(tank, shapes, ("one", "spoof", "drop", len(shapes)))
    tank.call("POST", "firewalls", tank.wall("wall", "one", inbound=INBOUND, outbound=OUTBOUND))
    tank.firewalls()
    shut(tank, shapes, ("one", "spoof", "drop", len(shapes)))
    assert tank.verdicts([tank.shape("one", "two", "udp", 9)]) == ["passed"]


def test_a_false_source_gets_no_answer_from_the_fabric(tank: Rig) -> None:
    """Nor is the fabric itself moved by one: resolver, gateway and metadata service say nothing."""
    victim = tank.machines["two"].private
    gateway = ".".join([*victim.split(".")[:3], "1"])
    shapes = [
        tank.shape("one", "two", protocol, port, source=victim, to=address)
        for address, port in ((RESOLVER, 53), (METADATA, 80), (gateway, 9))
        for protocol in ("udp", "tcp", "icmp")
    ]
    since = len(tank.wire.seen("two"))
    shut(tank, shapes, ("one", "spoof", "drop", len(shapes)))
    assert tank.wire.seen("two", since) == []


@pytest.mark.parametrize("side", ["private", "public"])
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_fragments_carry_no_port_through(tank: Rig, protocol: str, side: Side) -> None:
    """A packet in pieces is judged as the whole that it is, and a piece by itself gets nowhere."""
    allowed, denied = (tank.shape("one", "two", protocol, port, side=side, cut=8) for port in (OPEN, SHUT))
    tank.call("POST", "firewalls", tank.wall("wall", "two", inbound=[rule(protocol, str(OPEN), "sources")]))
    tank.firewalls()
    assert tank.verdicts([allowed])[0] != "filtered"
    shut(tank, [denied], ("two", "in", "drop", 1))
    # A later piece alone: no header that could be judged, so it waits for the rest that never comes.
    alone = [tank.shape("one", "two", protocol, OPEN, side=side, offset=offset) for offset in (8, 16, 1480)]
    shut(tank, alone)


def test_overlapping_fragments_rewrite_no_port(tank: Rig) -> None:
    """Pieces to an open port and a piece that would write another port over theirs: none arrives."""
    tank.call("POST", "firewalls", tank.wall("wall", "two", inbound=[rule("udp", str(OPEN), "sources")]))
    tank.firewalls()
    whole = tank.shape("one", "two", "udp", OPEN, cut=8)
    assert tank.verdicts([whole]) == ["passed"]
    first, rest = ({**whole, "only": piece, "ident": 1} for piece in ("first", "rest"))
    shut_port = {**tank.shape("one", "two", "udp", SHUT, cut=8), "only": "first", "ident": 1}
    assert tank.verdicts([shut_port, first, rest]) == ["filtered"] * 3
    wider = {**shut_port, "cut": 16, "ident": 2}
    assert tank.verdicts([{**first, "ident": 2}, wider, {**rest, "ident": 2}]) == ["filtered"] * 3


def route(code: int, *addresses: str) -> str:
    """An IP option that holds addresses: record route (7), loose (131) or strict (137) source route."""
    body = b"".join(socket.inet_aton(address) for address in addresses)
    option = bytes([code, 3 + len(body), 4]) + body
    return base64.b64encode(option + bytes(-len(option) % 4)).decode()


def test_ip_options_carry_no_port_through(tank: Rig) -> None:
    """Options do not hide a port, and nobody is routed by way of a droplet that may."""
    one, two, three = (tank.machines[name] for name in ("one", "two", "three"))
    peers = {"droplet_ids": [int(three.number)]}
    inbound = [rule("udp", str(OPEN), "sources"), rule("udp", str(SHUT), "sources", **peers)]
    tank.call("POST", "firewalls", tank.wall("wall", "two", inbound=inbound))
    tank.firewalls()
    alert = base64.b64encode(bytes([148, 4, 0, 0])).decode()
    no_operation = base64.b64encode(bytes([1, 1, 1, 1])).decode()
    options = [
        alert,
        no_operation,
        route(7, "0.0.0.0", "0.0.0.0"),
        route(131, two.private),
        route(137, two.private),
    ]
    shapes = [
        tank.shape("one", "two", protocol, SHUT, options=option)
        for option in options
        for protocol in ("udp", "tcp")
    ]
    shut(tank, shapes)
    by_way = [
        tank.shape("one", "three", "udp", SHUT, options=route(code, two.private)) for code in (131, 137)
    ]
    since = tank.wire.counts()["two"]
    tank.verdicts(by_way)
    assert [
        seen for seen in tank.wire.seen("two", since) if seen.source in (one.private, three.private)
    ] == []
    assert tank.verdicts([tank.shape("three", "two", "udp", SHUT)]) == ["passed"]

"""The fabric notices what is put into it by hand, whatever tool did it, and puts it right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tank import Tank, tcp

from emulator.docker.engine import execute
from emulator.planes.base import FAULTS

pytestmark = pytest.mark.docker

BY_HAND = {
    "tcp": "nft insert rule inet wavetank forward tcp dport 7777 accept",
    "udp": "nft add rule inet wavetank routes udp dport 5555 accept",
    "gre": "nft insert rule inet wavetank forward meta l4proto 47 accept",
    "source port": "nft insert rule inet wavetank forward tcp sport 1024 accept",
    "icmp type": "nft insert rule inet wavetank forward icmp type timestamp-request accept",
    "guard": "nft insert rule inet wavetank guard accept",
    "deleted rules": "nft flush chain inet wavetank lost.in",
    "map": "nft delete element inet wavetank gates.in { d1e1 }",
    "set": "nft add set inet wavetank mine '{ type ipv4_addr; }'",
    "counter": "nft add counter inet wavetank mine",
    "chain": "nft add chain inet wavetank mine '{ type filter hook forward priority -50; policy accept; }'",
    "table": "nft add table ip mine; nft add chain ip mine c '{ type nat hook prerouting priority -100; }'",
    "netdev": "nft add table netdev mine",
    "link": "ip link add mine0 type veth peer name mine1",
    "route": "ip route add 10.1.0.200/32 dev d1e1",
    "address": "ip addr add 10.1.0.11/32 dev lo",
    "routing rule": "ip rule add from 10.1.0.10 lookup main priority 100",
    "queue": "tc qdisc add dev d1e1 root pfifo limit 10",
    "proxy_arp": "echo 0 > /proc/sys/net/ipv4/conf/d1e1/proxy_arp",
    "forwarding": "echo 0 > /proc/sys/net/ipv4/ip_forward",
}


def by_hand(tank: Tank, script: str) -> None:
    """Do something in the fabric's namespace that nobody should."""
    argv = ["nsenter", "--net=/run/netns/fabric", "sh", "-ec", script]
    code, output = execute(tank.engine, f"wt-{tank.instance}-fabric", argv)
    assert code == 0, output


@pytest.fixture
def sound(tank: Tank) -> Iterator[Tank]:
    """The tank as it was made, before and afterwards."""
    tank.plane.restore()
    assert tank.plane.integrity().differences == []
    yield tank
    tank.plane.restore()
    found = tank.plane.integrity()
    assert (found.differences, found.repaired) == ([], [])


@pytest.mark.parametrize("script", BY_HAND.values(), ids=BY_HAND)
def test_what_is_done_by_hand_is_told_and_undone(sound: Tank, script: str) -> None:
    """It is seen by looking, which changes nothing, and gone once everything was restored."""
    by_hand(sound, script)
    found = sound.plane.integrity().differences
    assert found
    assert sound.plane.integrity().differences == found
    left = sound.plane.restore()
    assert left.differences == []
    assert [each["where"] for each in left.repaired] == [each["where"] for each in found]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_on_purpose_is_told(sound: Tank, fault: str) -> None:
    """Each of the faults that a check of the checks can ask for is found."""
    sound.plane.tamper(fault)
    assert [each["where"] for each in sound.plane.integrity().differences] == [
        "table inet wavetank, chain forward"
    ]


def test_a_change_of_rules_hides_nothing(sound: Tank) -> None:
    """The next policy puts things right, and what was wrong is remembered until somebody restores."""
    by_hand(sound, BY_HAND["tcp"])
    sound.rules(n2=((tcp(80),), ()))
    found = sound.plane.integrity()
    assert found.differences == []
    assert [each["text"] for each in found.repaired] == ["tcp dport 7777 accept"]
    assert sound.probe(1, "10.1.0.11", 7777) == "filtered"
    sound.rules(n1=((tcp(80),), ()))
    assert sound.plane.integrity().repaired == found.repaired


def test_counters_that_went_back_are_told(sound: Tank) -> None:
    """Who resets a counter takes the evidence away."""
    assert sound.probe(1, "10.1.0.11", 22) == "open"
    assert sound.plane.integrity().differences == []
    by_hand(sound, "nft reset counters")
    assert {each["problem"] for each in sound.plane.integrity().differences} == {"went back"}
    assert sound.plane.integrity().differences == []


def test_rules_come_and_go_without_suspicion(sound: Tank) -> None:
    """Policies, worse links and lost power change what is there, and nobody tampered with anything."""
    for port in (80, 81):
        sound.rules(n1=((tcp((port, port + 9), "10.1.0.0/20", "10.1.0.11/32"),), (tcp(port),)))
    sound.plane.power_off(4)
    assert sound.plane.integrity() == sound.plane.integrity()
    assert sound.plane.integrity().differences == []
    sound.plane.power_on(sound.nodes[4], sound.policy())
    found = sound.plane.integrity()
    assert (found.differences, found.repaired) == ([], [])

"""Links that delay and lose real packets, where the kernel has netem; elsewhere they stay perfect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tank import Tank

from emulator.planes.base import PERFECT, PlaneError, Quality

pytestmark = pytest.mark.docker

TWO = "10.1.0.11"
LATE_MS = 60.0
TIMED = """\
before=${EPOCHREALTIME/[.,]/}; exec 3<>/dev/tcp/%s/22; after=${EPOCHREALTIME/[.,]/}; echo $((after - before))
"""


@pytest.fixture
def slowed(tank: Tank) -> Iterator[Tank]:
    """The shared tank, in which links are perfect again afterwards; skips where they cannot be otherwise."""
    if reason := tank.plane.shape_refusal():
        pytest.skip(reason)
    yield tank
    tank.plane.shape(replace(tank.nodes[2], quality=PERFECT))


def round_trip_ms(tank: Tank) -> float:
    """The quickest of a few connections from droplet 1 to droplet 2."""
    told = [tank.run(1, "bash", "-c", TIMED % TWO) for _ in range(5)]
    assert {code for code, _ in told} == {0}, told
    return min(int(text) for _, text in told) / 1000


def test_a_perfect_link_can_be_had_anywhere(tank: Tank) -> None:
    """Also where a worse one cannot: the fabric says so before it is asked for one."""
    tank.plane.shape(tank.nodes[2])
    assert tank.probe(1, TWO, 22) == "open"
    assert bool(tank.plane.shape_refusal()) != tank.plane.info().capabilities["netem"]


def test_a_kernel_without_netem_says_so(tank: Tank) -> None:
    """Whoever asks all the same hears it from the kernel, and the droplet's links stay as they were."""
    if not tank.plane.shape_refusal():
        pytest.skip("this kernel has netem")
    with pytest.raises(PlaneError, match="qdisc"):
        tank.plane.shape(replace(tank.nodes[2], quality=Quality(LATE_MS)))
    assert tank.probe(1, TWO, 22) == "open"


def test_packets_to_a_droplet_are_late_also_after_a_power_cycle(slowed: Tank) -> None:
    """By what was asked for, until it is taken back."""
    before = round_trip_ms(slowed)
    slow = replace(slowed.nodes[2], quality=Quality(LATE_MS))
    slowed.plane.shape(slow)
    assert LATE_MS - 1 <= round_trip_ms(slowed) < before + 2 * LATE_MS
    slowed.plane.power_off(2)
    slowed.plane.power_on(slow, slowed.policy())
    assert LATE_MS - 1 <= round_trip_ms(slowed) < before + 2 * LATE_MS
    slowed.plane.shape(slowed.nodes[2])
    assert round_trip_ms(slowed) < LATE_MS - 1


def test_a_link_that_loses_everything_passes_nothing(slowed: Tank) -> None:
    """Until it is perfect again."""
    slowed.plane.shape(replace(slowed.nodes[2], quality=Quality(loss_percent=100)))
    assert slowed.probe(1, TWO, 22) == "filtered"
    slowed.plane.shape(slowed.nodes[2])
    assert slowed.probe(1, TWO, 22) == "open"

"""Readings become rates, services and gaps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judge0.workers import Workers
from harness.load.result import QueueSeries, Second
from harness.load.watch.counters import MIB, Reading, Track, gaps, series
from harness.load.watch.databases import take, tracks
from harness.load.watch.readings import Reader, cores
from harness.load.watch.workers import Counted, queue_series, with_waiting

STAT = "cpu  100 0 0 0 0 0 0 0 0 0"


@given(
    st.lists(st.tuples(st.floats(0.5, 2), st.floats(0, 4), st.floats(0, 0.4)), min_size=2, max_size=20),
)
def test_lateness_of_arrival_does_not_change_a_rate(rows: list[tuple[float, float, float]]) -> None:
    """Rates are over the node's own clock; each is what was put in."""
    track, clock, used = Track("n", "r", 4.0), 50.0, 7.0
    for seconds, rate, late in rows:
        clock, used = clock + seconds, used + rate * seconds
        track.readings.append(Reading(1000 + clock + late, clock, used, 2 * MIB))
    found = series(track, 1000.0, 1e9)
    assert found is not None
    assert found.cpu == pytest.approx([rate for _, rate, _ in rows[1:]], abs=1e-3)
    assert set(found.memory_mb) == {2.0}
    assert all(before < after for before, after in zip(found.t, found.t[1:], strict=False))


def test_a_reboot_is_no_rate() -> None:
    """A clock that went back, or a counter that did, began anew."""
    track = Track("n", "r", 1.0)
    track.readings = [
        Reading(1, 500, 90, 0),
        Reading(2, 501, 91, 0),
        Reading(3, 4, 1, 0),
        Reading(4, 5, 1.5, 0),
    ]
    found = series(track, 0, 10)
    assert found is not None
    assert (found.t, found.cpu) == ((2, 4), (1.0, 0.5))
    track.readings = [Reading(1, 1, 90, 0), Reading(2, 2, 1, 0)]
    assert series(track, 0, 10) is None


def test_nothing_is_reported_of_a_gap() -> None:
    """There may have been a reboot in it that the counters do not show."""
    track = Track("n", "r", 1.0)
    track.readings = [
        Reading(1, 1, 0.1, 0),
        Reading(2, 2, 0.2, 0),
        Reading(9, 9, 5.0, 0),
        Reading(10, 10, 5.5, 0),
    ]
    found = series(track, 0, 20)
    assert found is not None
    assert (found.t, found.cpu) == ((2, 10), (0.1, 0.5))


def test_only_what_falls_into_the_run_is_reported_from_its_start() -> None:
    """One track serves several runs."""
    track = Track("n", "r", 1.0)
    track.readings = [Reading(at, at, at / 2, 0) for at in range(10)]
    found = series(track, 3, 6)
    assert found is not None
    assert found.t == (0, 1, 2, 3)
    assert series(track, 20, 30) is None


def test_containers_of_one_service_count_together_and_by_their_names() -> None:
    """Compose projects, a stack's services without its name, and whatever else by the container's name."""
    track = Track("n", "r")
    reader = Reader(track)
    for line in (
        "H|cgroup1|100|2|-1|100000|cgroup1",
        "N|aa|judge0-worker|||judge0-worker_1",
        "N|bb|judge0-worker|||judge0-worker_2",
        "N|cc||stack|stack_runner-api|stack_runner-api.1.xyz",
        "N|dd||||alone",
        "S|1.0|0|0| aa=0 bb=0 cc=0 dd=0 ee=0",
    ):
        reader.take(1, line)
    reader.take(2, "S|3.0|2000000000|0| aa=1000000000 bb=500000000 cc=200000000 dd=0 ee=0 ff=9")
    found = series(track, 0, 9)
    assert found is not None
    assert found.cpu == (1.0,)
    assert found.parts == {"judge0-worker": (0.75,), "runner-api": (0.1,), "alone": (0.0,), "ee": (0.0,)}


def test_what_a_hypervisor_keeps_is_distinguished() -> None:
    """Steal is neither used nor idle."""
    track = Track("n", "r")
    reader = Reader(track)
    reader.take(1, "H|proc|100|1|-1|100000|none")
    reader.take(1, f"S|1.0|{STAT}|0|")
    reader.take(2, "S|2.0|cpu  150 0 0 20 10 0 0 25 0 0|0|")
    found = series(track, 0, 9)
    assert found is not None
    assert (found.cpu, found.steal, found.source) == ((0.5,), (0.25,), "/proc/stat")


@pytest.mark.parametrize(
    ("quota", "given"), [("-1", 4.0), ("max", 4.0), ("", 4.0), ("150000", 1.5), ("900000", 4.0)]
)
def test_cores_are_the_processors_or_the_limit(quota: str, given: float) -> None:
    """The lesser of the two."""
    assert cores(4, quota, 100000) == given


def test_silence_is_a_gap_in_words_with_its_reason() -> None:
    """Where nothing came for seconds, at the start and at the end too; a late look is none."""
    times = [11.0, 12.0, 15.0, 22.0, 23.0]
    faults = [(3.0, "before"), (16.0, "ssh ended")]
    told = list(gaps("worker-1", times, faults, 10.0, 30.0))
    assert told == [
        "worker-1: no readings from 5.0 s to 12.0 s (ssh ended)",
        "worker-1: no readings from 13.0 s to 20.0 s",
    ]
    assert list(gaps("worker-1", [], faults, 14.0, 30.0)) == ["worker-1: no readings (ssh ended)"]


def test_the_queue_is_what_was_counted_in_time() -> None:
    """Each at the middle of its time; how many wait is left open where no one knows."""
    seen = [Counted(11.0, Workers(5, 3, 4)), Counted(12.0, Workers(0, 0, 0)), Counted(99.0, Workers(0, 0, 0))]
    found = queue_series(seen, 10.0, 20.0)
    assert found == QueueSeries(t=(1, 2), waiting=(4, 0), working=(3, 0), workers=(5, 0))
    assert queue_series(seen, 0, 1) is None
    unknown = queue_series([Counted(11.0, Workers(5, 3)), *seen], 10.0, 20.0)
    assert unknown is not None
    assert unknown.waiting == ()


def second(t: float, in_flight: int) -> Second:
    """One in which nothing else matters."""
    return Second(t, 0, 0, 0, 0, 0, in_flight, None, None)


def test_what_is_under_way_and_not_run_waits() -> None:
    """By the last second that had ended then; a length that is known stays, and none is below nothing."""
    queue = QueueSeries(t=(0.5, 1.5, 2.2), waiting=(), working=(0, 4, 2), workers=(4, 4, 4))
    seconds = (second(0.0, 9), second(1.0, 1), second(2.0, 7))
    filled = with_waiting(queue, seconds)
    assert filled is not None
    assert filled.waiting == (0, 5, 0)
    assert with_waiting(filled, ()) == filled
    assert with_waiting(None, seconds) is None


def test_databases_are_reported_under_their_names() -> None:
    """Others of the same account are left out."""
    row = {"at": 5.0, "cpu_seconds": 1.0, "memory_bytes": MIB, "cores": 2.0}
    answer = {"databases": [{"ref": "database:one", **row}, {"ref": "database:other", **row}]}
    known = tracks({"one": "postgres"})
    take(known, lambda method, path: answer if (method, path) == ("GET", "/usage") else {})
    [track] = known.values()
    assert (track.node, track.role, track.cores) == ("postgres", "database", 2.0)
    assert [(mark.clock, mark.cpu) for mark in track.readings] == [(5.0, 1.0)]

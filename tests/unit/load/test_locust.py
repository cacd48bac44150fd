"""The load on Locust: shares, their way through JSON, what is merged, and what is refused in words."""

from __future__ import annotations

import json
import socket
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from submission_samples import WORKLOAD, route

from harness.core.errors import EngineError, ResourceError, UsageError, WaitTimeoutError
from harness.core.wait import NotYet, wait_for
from harness.judge0.model import NEVER, Address
from harness.load.generator.generator import GeneratorError
from harness.load.locust import generator, processes, running
from harness.load.locust.channel import Channel
from harness.load.locust.master_address import host_port
from harness.load.locust.merging import Part, as_part, merge, merged_tick
from harness.load.locust.processes import SECRET
from harness.load.locust.running import State, Team, check_order
from harness.load.locust.shares import as_document, as_share, chosen, packed, split
from harness.load.model import SAMPLE, SECOND, Order, Outcome, Samples
from harness.load.workload import choose

PUBLIC = Address("tcp", "203.0.113.9", 80)
COUNT = 10
ARRIVALS = np.arange(COUNT, dtype=np.int64) * SECOND // 10


def order(address: Address = PUBLIC, **more: object) -> Order:
    """Ten arrivals, ten a second."""
    return Order(**{"route": route("poll", address), "workload": WORKLOAD, "arrivals": ARRIVALS, **more})


def samples(due: np.ndarray) -> Samples:
    """All went well, 50 ms each."""
    rows = np.zeros(len(due), SAMPLE)
    rows["intended"], rows["ended"] = due, due + SECOND // 20
    return rows


def part(rows: Samples, **more: object) -> Part:
    """What one worker recorded."""
    return Part(
        **{
            "samples": rows,
            "seconds": 1.0,
            "cpu_seconds": 0.5,
            "peak_connections": 2,
            "starved": 1,
            "partial": "",
            "messages": {},
            **more,
        }
    )


def test_every_arrival_has_one_worker_and_its_own_program() -> None:
    """Together the shares are the load that one generator puts on."""
    whole = choose(WORKLOAD, COUNT)
    for workers in (1, 3, 4):
        shares = split(order(connections=7), workers)
        found = {
            int(due): int(pick)
            for each in shares
            for due, pick in zip(each.order.arrivals, chosen(each), strict=True)
        }
        assert found == dict(zip(ARRIVALS.tolist(), whole.tolist(), strict=True))
        assert sum(each.order.connections for each in shares) == 7


def test_clients_are_split_and_none_is_without_a_connection() -> None:
    """Of five clients one worker has three; of one connection each has one."""
    shares = split(order(loop="closed", clients=5, seconds=1.0, connections=1), 2)
    assert [each.order.clients for each in shares] == [3, 2]
    assert [each.order.connections for each in shares] == [1, 1]


def test_a_share_survives_json() -> None:
    """As the worker reads it, it is what was split off, the token and all limits included."""
    address = Address("socks", "10.0.0.2", 80, proxy="198.51.100.1:1080", tls=True)
    made = split(
        order(route=route("batch", address, headers={"X-Auth-Token": "t0"}, timestamps=("created_at",))), 3
    )[1]
    read = as_share(json.loads(json.dumps(as_document(made))))
    assert (read.index, read.of, read.capacity) == (1, 3, COUNT)
    assert (read.order.route, read.order.workload) == (made.order.route, made.order.workload)
    assert read.order.arrivals.tolist() == made.order.arrivals.tolist()


def test_samples_are_merged_in_the_order_of_arrivals() -> None:
    """Rows of all workers, and the sums of what each took."""
    shares = split(order(), 3)
    parts = {
        index: part(samples(shares[index].order.arrivals), messages={"WRONG": [f"{index}", "x"]})
        for index in (2, 0, 1)
    }
    merged = merge(shares, parts, {}, 5.0)
    assert merged.samples["intended"].tolist() == ARRIVALS.tolist()
    assert (merged.began, merged.seconds, merged.cpu_seconds, merged.partial) == (5.0, 1.0, 1.5, "")
    assert (merged.peak_connections, merged.starved) == (6, 3)
    assert merged.messages == {"WRONG": ("2", "x", "0")}


def test_arrivals_due_at_once_keep_the_numbers_of_one_generator() -> None:
    """A burst over three workers has the same programs in the same order."""
    shares = split(order(arrivals=np.zeros(COUNT, np.int64)), 3)
    parts = {}
    for share in shares:
        rows = samples(share.order.arrivals)
        rows["program"] = chosen(share)
        parts[share.index] = part(rows)
    assert merge(shares, parts, {}, 0.0).samples["program"].tolist() == choose(WORKLOAD, COUNT).tolist()


def test_arrivals_of_a_lost_worker_are_unfinished() -> None:
    """None of them is forgotten, and the recording says who was lost."""
    shares = split(order(), 2)
    merged = merge(
        shares, {0: part(samples(shares[0].order.arrivals))}, {1: "worker 1 was lost: killed"}, 0.0
    )
    assert merged.samples["intended"].tolist() == ARRIVALS.tolist()
    lost = merged.samples[1::2]
    assert set(lost["outcome"]) == {Outcome.UNFINISHED}
    assert set(lost["ended"]) == set(lost["sent"]) == {NEVER}
    assert lost["program"].tolist() == choose(WORKLOAD, COUNT)[1::2].tolist()
    assert merged.partial == "worker 1 was lost: killed"
    assert merged.messages == {"UNFINISHED": ("worker 1 was lost: killed",)}


def test_a_lost_worker_of_a_stopped_run_had_only_what_was_due() -> None:
    """What would have come after the stop never arrived."""
    shares = split(order(), 2)
    done = part(samples(shares[0].order.arrivals[:2]), seconds=0.35, partial="stopped after 0.3 s")
    merged = merge(shares, {0: done}, {1: "gone"}, 0.0)
    assert merged.samples["intended"].tolist() == ARRIVALS[:4].tolist()
    assert merged.partial == "gone; stopped after 0.3 s"


def test_nothing_is_left_of_a_run_whose_workers_are_all_lost() -> None:
    """But its arrivals are told."""
    merged = merge(split(order(), 2), {}, {0: "a", 1: "b"}, 0.0)
    assert set(merged.samples["outcome"]) == {Outcome.UNFINISHED}
    assert (len(merged.samples), merged.partial) == (COUNT, "a; b")


def test_what_a_worker_tells_is_read_back() -> None:
    """Rows travel as bytes, in Base64."""
    rows = samples(ARRIVALS)
    document = {**vars(part(rows)), "samples": packed(rows)}
    assert (as_part(json.loads(json.dumps(document))).samples == rows).all()


def test_a_tick_is_the_sum_of_all_workers() -> None:
    """Counts are added, quantiles are those of all latencies."""
    tick = {
        "begun": 3,
        "accepted": 2,
        "ended": 2,
        "errors": 1,
        "latency": [10**6, 3 * 10**6],
        "late": [10**5],
    }
    merged = merged_tick(order(), [tick, tick], 0.55)
    assert (merged.due, merged.begun, merged.accepted, merged.ended, merged.errors) == (6, 6, 4, 4, 2)
    assert (merged.in_flight, merged.p50, merged.late_p99) == (2, 2.0, 0.1)


def test_documents_arrive_whole_however_they_are_cut() -> None:
    """One that needs many reads, two in one read, and the end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel, text = Channel(theirs), "x" * 5000
        data = json.dumps({"a": text}).encode() + b'\n{"b": 1}\n{"c"'
        ours.sendall(data[:3000])
        assert channel.receive(5.0) is None
        ours.sendall(data[3000:])
        assert channel.receive(5.0) == {"a": text}
        assert channel.receive(0.0) == {"b": 1}
        ours.close()
        assert channel.receive(5.0) is None
        assert channel.closed


@pytest.mark.parametrize(
    ("team", "words"),
    [
        (Team(0), "use 1 or more"),
        (Team(1, 1), "--locust-bind HOST:PORT"),
        (Team(1, 1, "10.0.0.9", 5557), SECRET),
    ],
)
def test_a_team_that_cannot_be_is_refused(team: Team, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started, with what would be right."""
    monkeypatch.delenv(SECRET, raising=False)
    with pytest.raises(UsageError, match=words):
        generator(team.here, expect=team.elsewhere, bind=team.bind, port=team.port)


def test_without_locust_the_command_that_installs_it_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setattr(running.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(EngineError, match=r"pip install 'wavetank\[locust\]'"):
        generator(1)


FAR = Team(1, 1, "10.0.0.9", 5557)


@pytest.mark.parametrize(
    ("wrong", "team", "words"),
    [
        (order(route=route("callback", PUBLIC)), Team(1), "--submission-mode poll"),
        (order(loop="closed", clients=1, seconds=1.0), Team(2), "one for each"),
        (order(Address("unix", "/run/way")), FAR, "/run/way"),
        (order(Address("tcp", "127.0.0.1", 80)), FAR, "--entry-point client"),
        (order(Address("socks", "203.0.113.9", 80, proxy="127.0.0.1:1080")), FAR, "127.0.0.1"),
    ],
)
def test_an_order_that_workers_cannot_carry_out_is_refused(wrong: Order, team: Team, words: str) -> None:
    """A submission mode that they do not know, or one that is not there where they are."""
    with pytest.raises(UsageError, match=words):
        check_order(wrong, team)


def test_public_addresses_are_reached_from_elsewhere() -> None:
    """Straight, or by a proxy that is not ours; and from here, anything is."""
    check_order(order(), FAR)
    check_order(order(Address("socks", "10.0.0.2", 80, proxy="198.51.100.1:1080")), FAR)
    check_order(order(Address("unix", "/run/way")), Team(2))


def test_the_masters_place_is_a_host_and_a_port() -> None:
    """Anything else is told, with an example."""
    assert host_port("10.0.0.9:5557") == ("10.0.0.9", 5557)
    for wrong in ("10.0.0.9", ":5557", "10.0.0.9:0", "10.0.0.9:99999", "host:http"):
        with pytest.raises(UsageError, match=r"like 10\.0\.0\.9:5557"):
            host_port(wrong)


def test_a_process_that_ends_at_once_is_an_error_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it."""
    program = "print('no such option'); raise SystemExit(3)"
    monkeypatch.setattr(processes, "argv", lambda _arguments: [sys.executable, "-c", program])
    with pytest.raises(
        GeneratorError, match=r"master ended before the run began: exit code 3\n  no such option"
    ):
        generator(1)(order())


def test_nobody_waits_for_ever_and_nothing_is_left_running(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A master that says nothing is given up, and ended with what it started."""
    program = f"""
import os, pathlib, time
child = os.fork()
pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch()
time.sleep(600)
"""
    monkeypatch.setattr(processes, "argv", lambda _arguments: [sys.executable, "-c", program])
    monkeypatch.setattr(running, "GATHER_SECONDS", 2.0)
    with pytest.raises(WaitTimeoutError, match="Locust's master to listen"):
        generator(1)(order())
    pids = [each.name for each in tmp_path.iterdir()]
    assert pids
    wait_for("processes to be gone", lambda: _gone(pids), deadline=10.0)


def _gone(pids: list[str]) -> None:
    """None of them runs; a zombie does not."""
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                raise NotYet(f"{pid}: {state}")


def test_what_a_worker_says_of_its_failure_is_raised_as_it_was() -> None:
    """A refusal is the user's to mend, a failure is ours, with its traceback."""
    refused = running._error("worker 0", {"kind": "refused", "resource": ["load target", "h:1", "refuses"]})
    assert isinstance(refused, ResourceError)
    assert str(refused) == str(ResourceError("load target", "h:1", "refuses"))
    assert isinstance(running._error("worker 0", {"kind": "refused", "usage": "no bash"}), UsageError)
    assert "worker 0 failed:\nTrace" in str(running._error("worker 0", {"kind": "failed", "text": "Trace"}))


def test_a_worker_that_is_done_is_not_lost_afterwards() -> None:
    """Its process may end as soon as its samples are here."""
    state = State(order(), split(order(), 2), {"a": "worker 0", "b": "worker 1"})
    state.parts[0] = part(samples(ARRIVALS))
    state.lose("a", "exit code 0")
    assert not state.lost
    assert not state.is_over
    state.lose("b", "exit code 1")
    assert state.lost == {1: "worker 1 was lost: exit code 1"}
    assert state.is_over

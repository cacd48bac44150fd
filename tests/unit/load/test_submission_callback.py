"""Callbacks: heard over real connections, whether they come before the creation's answer or after it."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from submission_samples import MS, TRIP, WORKLOAD, FakeEngine, FakeJudge0, FakeRecord, route

from harness.core.errors import UsageError
from harness.load.model import Outcome
from harness.load.protocol.listening import CallbackProtocol
from harness.load.protocol.opening import open_protocol

ACCEPTED = {"token": "71-0", "status": {"id": 3, "description": "Accepted"}, "stdout": "aGVsbG8K\n"}


@dataclasses.dataclass
class Rig:
    """Two arrivals whose callbacks the test sends itself."""

    base: str
    judge0: FakeJudge0
    engine: FakeEngine
    record: FakeRecord
    protocol: CallbackProtocol

    def call(self, path: str, body: object = ACCEPTED) -> int:
        """PUT a callback and return the status of the answer."""
        with httpx.Client(trust_env=False) as client:
            return client.put(f"{self.base}{path}", json=body).status_code


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A talk by callbacks, and its end."""
    base = f"http://127.0.0.1:{free_port()}/run-7f3a"
    judge0 = FakeJudge0()
    engine, record = FakeEngine(judge0), FakeRecord(2)
    chosen = np.zeros(2, dtype=np.int16)
    protocol = open_protocol(
        route("callback", callback_base=base), WORKLOAD, chosen, record, engine, timeout=2.0
    )
    assert isinstance(protocol, CallbackProtocol)
    try:
        yield Rig(base, judge0, engine, record, protocol)
    finally:
        protocol.finish()


def test_each_submission_names_its_own_callback(rig: Rig) -> None:
    """So that the number is known before the token."""
    rig.protocol.begin(0, 0)
    rig.protocol.begin(1, 0)
    urls = [json.loads(each.body)["callback_url"] for _, each in rig.engine.requests]
    assert urls == [f"{rig.base}/0", f"{rig.base}/1"]


def test_a_callback_ends_what_was_created(rig: Rig) -> None:
    """When it was heard, not when it was looked at."""
    rig.protocol.begin(0, 0)
    rig.engine.run(10 * MS)
    assert rig.call("/0") == 200
    rig.engine.run(100 * MS)
    row = rig.record.rows[0]
    assert (row.outcome, row.status, row.accepted, row.ended) == (Outcome.OK, 3, TRIP, 10 * MS)


def test_a_callback_may_come_before_the_answer_to_the_creation(rig: Rig) -> None:
    """It is kept until then."""
    rig.protocol.begin(0, 0)
    assert rig.call("/0") == 200
    rig.engine.run(100 * MS)
    row = rig.record.rows[0]
    assert (row.outcome, row.accepted, row.ended) == (Outcome.OK, TRIP, 0)


def test_a_second_callback_changes_nothing(rig: Rig) -> None:
    """Judge0 calls again where it thinks that it was not heard."""
    rig.protocol.begin(0, 0)
    rig.engine.run(10 * MS)
    rig.call("/0")
    rig.call("/0", {**ACCEPTED, "status": {"id": 13, "description": "Internal Error"}})
    rig.engine.run(100 * MS)
    assert rig.record.rows[0].outcome is Outcome.OK


def test_a_wrong_answer_is_wrong_by_callback_too(rig: Rig) -> None:
    """And one that cannot be read has failed."""
    rig.protocol.begin(0, 0)
    rig.protocol.begin(1, 0)
    rig.engine.run(10 * MS)
    rig.call("/0", {**ACCEPTED, "stdout": None})
    rig.call("/1", {"token": "71-1"})
    rig.engine.run(100 * MS)
    assert rig.record.outcomes() == [Outcome.WRONG, Outcome.FAILED]


@pytest.mark.parametrize("path", ["/7", "/0/1", "/x", ""])
def test_callbacks_for_nobody_are_left_out(rig: Rig, path: str) -> None:
    """A number that never began, or no number."""
    rig.protocol.begin(0, 0)
    rig.engine.run(10 * MS)
    rig.call(path)
    rig.engine.run(100 * MS)
    assert rig.record.outcomes() == [None, None]


def test_callbacks_of_an_earlier_run_are_not_this_ones(rig: Rig) -> None:
    """Its path was another."""
    rig.protocol.begin(0, 0)
    with httpx.Client(trust_env=False) as client:
        earlier = client.put(rig.base.replace("run-7f3a", "run-0000") + "/0", json=ACCEPTED)
    assert earlier.status_code == 404


def test_a_callback_that_never_comes_is_given_up(rig: Rig) -> None:
    """Judge0 never repeats one that it could not deliver."""
    rig.protocol.begin(0, 0)
    rig.engine.run(1999 * MS)
    assert rig.record.rows[0].outcome is None
    rig.engine.run(2100 * MS)
    assert rig.record.rows[0].outcome is Outcome.UNANSWERED
    assert rig.record.rows[0].message == "no callback 2 s after it was due"


def test_callbacks_do_not_outlive_the_run(rig: Rig) -> None:
    """The port is free again, and what was heard in time still counts."""
    rig.protocol.begin(0, 0)
    rig.protocol.begin(1, 0)
    rig.engine.run(3 * MS)
    rig.call("/0")
    rig.protocol.finish()
    assert rig.record.outcomes() == [Outcome.OK, Outcome.UNFINISHED]
    with pytest.raises(httpx.ConnectError):
        rig.call("/1")


def test_a_creation_that_is_refused_is_no_callback(rig: Rig) -> None:
    """The words are the refusal's."""
    rig.judge0.refuse = (503, {"error": "queue is full"})
    rig.protocol.begin(0, 0)
    rig.engine.run(100 * MS)
    assert rig.record.rows[0].outcome is Outcome.REFUSED


def test_an_address_of_another_machine_cannot_be_listened_at() -> None:
    """Said at once, with what would be right."""
    elsewhere = route("callback", callback_base="http://203.0.113.9:4000/x")
    never = FakeEngine(lambda _: (500, {}))
    with pytest.raises(UsageError, match="give an address of this machine that the workers can reach"):
        open_protocol(elsewhere, WORKLOAD, np.zeros(1, dtype=np.int16), FakeRecord(1), never)


def test_a_body_without_a_length_is_refused(rig: Rig) -> None:
    """Rather than waited for."""
    with httpx.Client(trust_env=False) as client:
        chunked = client.put(f"{rig.base}/0", content=iter([b"{}"]))
    assert chunked.status_code == 411

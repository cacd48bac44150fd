"""Load on the reference Judge0 itself: detected, and programs judged right in every submission mode."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import httpx
import numpy as np
import pytest
from judge0_stack import Stack

from harness.core.wait import NotYet, scaled, wait_for
from harness.judge0.client import Judge0
from harness.judge0.detect import Capabilities, detect
from harness.judge0.model import NEVER, Address, Program, SubmissionMode
from harness.judge0.route import judge0_route
from harness.load.engine import Engine
from harness.load.model import SECOND, Outcome, Workload
from harness.load.protocol.opening import open_protocol
from harness.load.recorder import Recorder
from harness.load.workload import choose

pytestmark = pytest.mark.docker

COUNT, RATE = 30, 30
WORKLOAD = Workload(
    "short",
    (
        Program("hello", "bash", "echo hello", stdout="hello", weight=3),
        Program("copies", "bash", "cat", stdin="é" * 9000, stdout="é" * 9000),
        Program("fails", "bash", "echo before; exit 3", status=11, stdout="before"),
    ),
)


class Rig(NamedTuple):
    """A server with a worker, and what it was recognised as."""

    address: Address
    capabilities: Capabilities
    here: str


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """One for all tests of this module; `here` is this machine, as workers reach it."""
    with Stack() as stack, stack.server() as client, stack.worker(COUNT="2") as worker:
        capabilities = wait_for("the worker to register", lambda: with_slots(client), deadline=30)
        stack.address(worker)  # makes its attributes those of now
        networks = worker.attrs["NetworkSettings"]["Networks"]
        [gateway] = [each["Gateway"] for each in networks.values()]
        yield Rig(Address("tcp", client.base_url.host, 2358), capabilities, f"http://{gateway}")


def with_slots(client: httpx.Client) -> Capabilities:
    """What answers, once it knows of its worker."""
    capabilities = detect(Judge0(client).get)
    if not capabilities.slots:
        raise NotYet("no worker has registered")
    return capabilities


def recorded(rig: Rig, mode: SubmissionMode, workload: Workload) -> Recorder:
    """`COUNT` arrivals, each followed to its end."""
    route = judge0_route(rig.address, rig.capabilities, mode, callback_url=rig.here)
    record, chosen = Recorder(COUNT), choose(workload, COUNT)
    seconds = scaled(60)
    with closing(Engine(rig.address, timeout=seconds)) as engine:
        protocol = open_protocol(route, workload, chosen, record, engine, timeout=seconds)

        def begin(number: int, intended: int) -> None:
            record.begin(number, intended)
            protocol.begin(number, intended)

        engine.connect(1)
        arrivals = np.arange(COUNT, dtype=np.int64) * (SECOND // RATE)
        engine.run(arrivals, begin, over=lambda: record.ended == COUNT, drain=seconds)
        protocol.finish()
    return record


def test_the_reference_judge0_is_recognised(rig: Rig) -> None:
    """As what it is, with its limits."""
    capabilities = rig.capabilities
    assert (capabilities.kind, capabilities.version, capabilities.slots) == ("reference", "1.13.1", 2)
    assert not capabilities.wait_bypasses_queue
    assert (capabilities.queue_limit, capabilities.batch_limit, capabilities.single_get_cached) == (
        100,
        20,
        1.0,
    )
    assert {"created_at", "finished_at", "wall_time"} <= set(capabilities.timestamps)


@pytest.mark.parametrize("mode", ["wait", "poll", "batch", "callback"])
def test_programs_are_judged_right_in_every_mode(rig: Rig, mode: SubmissionMode) -> None:
    """Status, output and stages, as Judge0's own clock tells them."""
    record = recorded(rig, mode, WORKLOAD)
    samples = record.samples()
    assert set(samples["outcome"]) == {Outcome.OK}, record.messages()
    assert set(samples["status"]) == {3, 11}
    told = samples[["queued_us", "ran_us", "judged_us"]]
    if mode == "callback":
        assert (samples["judged_us"] == NEVER).all()
        return
    assert (samples["queued_us"] >= 0).all(), told
    assert (samples["ran_us"] > 0).all(), told
    assert (samples["judged_us"] >= samples["ran_us"] - 3_000).all(), told
    assert (samples["ended"] - samples["sent"] > (samples["judged_us"] - 3_000) * 1000).all(), told


def test_a_wrong_answer_is_an_error_however_fast(rig: Rig) -> None:
    """The program prints something else than it must."""
    wrong = [dataclasses.replace(each, stdout="other") for each in WORKLOAD.programs[:1]]
    record = recorded(rig, "wait", Workload("wrong", tuple(wrong)))
    assert set(record.samples()["outcome"]) == {Outcome.WRONG}
    assert "printed 'hello\\n' in place of 'other'" in record.messages()["WRONG"][0]

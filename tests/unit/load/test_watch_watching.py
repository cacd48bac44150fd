"""Watching while something goes on: real shells in the place of nodes, and what cannot be seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

from harness.core.errors import CommandError
from harness.core.wait import NotYet, wait_for
from harness.judge0.workers import Workers
from harness.load.watch import watching
from harness.load.watch.repeat import REPEATING, repeating
from harness.load.watch.watching import Observed, Watch
from harness.topology.deployment import Connection, DatabaseNode, Deployment
from harness.topology.load import load

TOPOLOGY = load(Path(__file__).parents[3] / "topologies" / "standard.yaml")
QUEUE = Workers(total=4, working=1, waiting=2)
EVERY = 0.05
NOWHERE = Connection("h", 1, "u", "p", "d", "uri")


class Nodes:
    """The way to two nodes, of which one is this machine and the other is gone."""

    nodes = ("client", "runner")

    def run(self, node: str, _script: str, *, deadline: float) -> str:
        if node == "runner":
            raise CommandError(["ssh", node], 255, "No route to host")
        return ""

    def argv(self, _node: str, script: str) -> list[str]:
        return ["sh", "-c", script]

    def mask(self, text: str) -> str:
        return text


def deployment() -> Deployment:
    """With one database."""
    node = DatabaseNode("mongo", "id", "mongodb", "online", NOWHERE, NOWHERE, "")
    return Deployment("run", "vpc", "10.0.0.0/20", {}, {"mongo": node})


def watched(until: Callable[[Observed], bool], ask: Callable[[], Any] | None) -> tuple[Observed, float]:
    """What is seen of the two nodes on a cloud, once ``until`` is content; and when that began."""
    began = time.time() - 10

    def probe(watch: Watch) -> Observed:
        seen = watch.collect(began)
        if not until(seen):
            raise NotYet(str(seen))
        return seen

    cloud = SimpleNamespace(info={})
    with watching(Nodes(), deployment(), TOPOLOGY, cloud, count_workers=ask, every=EVERY) as watch:  # type: ignore[arg-type]
        return wait_for("enough", lambda: probe(watch), deadline=20, max_pause=0.1), began


def everything(seen: Observed) -> bool:
    return bool(seen.nodes and seen.machine and seen.queue)


def test_what_can_be_observed_is_and_the_rest_is_reported() -> None:
    """A node that is gone is a gap with its reason, and so are the cloud's databases."""
    seen, _ = watched(everything, lambda: QUEUE)
    assert [each.node for each in seen.nodes] == ["client"]
    assert seen.queue is not None
    assert (seen.queue.waiting[0], seen.queue.working[0], seen.queue.workers[0]) == (2, 1, 4)
    assert seen.machine is not None
    assert not seen.shared
    assert "mongo: not monitored" in seen.gaps[0]
    assert any("runner: no readings" in gap and "No route to host" in gap for gap in seen.gaps)


def test_the_block_begins_once_every_node_was_seen_or_is_known_not_to_be() -> None:
    """A run that begins then is watched from its beginning."""
    cloud = SimpleNamespace(info={})
    with watching(Nodes(), deployment(), TOPOLOGY, cloud, every=EVERY) as watch:  # type: ignore[arg-type]
        assert watch.nodes["client"].readings
        assert watch.nodes["runner"].faults


def test_times_count_from_the_start_of_the_run() -> None:
    """Not from that of the watching."""
    seen, began = watched(everything, lambda: QUEUE)
    now = time.time() - began
    assert seen.queue is not None
    for t in (*(each.t for each in seen.nodes), seen.queue.t):
        assert list(t) == sorted(t)
        assert all(9.9 < each <= now for each in t)


def test_a_queue_that_does_not_answer_is_a_gap() -> None:
    """With the words of the last error, and nothing raises."""

    def ask() -> Any:
        raise httpx.ConnectError("refused")

    seen, _ = watched(lambda seen: any("refused" in gap for gap in seen.gaps), ask)
    assert seen.queue is None


def test_nobody_asks_for_a_queue_where_there_is_none() -> None:
    """It is no gap either."""
    seen, _ = watched(lambda seen: seen.machine is not None, None)
    assert seen.queue is None
    assert not any(gap.startswith("queue") for gap in seen.gaps)


def test_what_is_repeated_goes_on_after_an_error() -> None:
    """And ends with its block."""
    calls: list[int] = []
    faults: list[str] = []

    def action() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError

    def probe() -> None:
        if len(calls) < 3:
            raise NotYet(str(calls))

    with repeating(0.001, action, lambda _at, why: faults.append(why)):
        wait_for("three calls", probe, deadline=20)
    assert faults == ["ValueError"]
    assert not [each for each in threading.enumerate() if each.name == REPEATING]

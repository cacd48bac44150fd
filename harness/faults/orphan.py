"""That nothing is rescheduled without a manager: one task's container is ended, and nobody starts another."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from harness.access.ssh import Access
from harness.core.errors import WaitTimeoutError
from harness.core.parallel import in_parallel
from harness.core.wait import NotYet, wait_for
from harness.faults.watch import remaining
from harness.swarm.converge import State
from harness.swarm.snapshot import Task
from harness.topology.model import Topology

# A manager restarts a task five seconds after it ended, and it runs after two more.
WATCHED_SECONDS = 12.0
LABEL = "com.docker.swarm.service.name"
RUNNING = "docker ps -q --no-trunc"


@dataclass(frozen=True)
class Orphan:
    """``task`` was ended; ``others`` are the containers of its service that began in its place."""

    task: Task
    others: tuple[str, ...]


def choose(topology: Topology, state: State, away: Collection[str]) -> Task | None:
    """A task to be ended, of those that are left: one whose service has another one, so it is not missed.

    Those that run programs come first. Where no task has a sibling, it is any of them; None where none is
    left.
    """
    judge0 = topology.checks.judge0
    workers = judge0.workers if judge0 else ()
    found = [
        task for service in state.services for task in state.running(service.name) if task.node not in away
    ]

    def loss(task: Task) -> tuple[bool, bool]:
        return len(remaining(state, task.service, away)) < 2, task.node not in workers

    return min(found, key=loss, default=None)


def end(access: Access, topology: Topology, state: State, task: Task, away: Collection[str]) -> Orphan:
    """End a task's container, and watch for a while whether another one begins on any node that is left."""
    assert topology.swarm is not None
    nodes = [node for node in access.nodes if node not in away]
    known = {each.container for each in state.tasks}
    access.run(task.node, f"docker kill {shlex.quote(task.container)} >/dev/null")
    name = f"{topology.swarm.stack}_{task.service}"

    def probe() -> tuple[str, ...]:
        others = containers(access, nodes, name) - known
        if not others:
            raise NotYet("none began")
        return tuple(sorted(others))

    try:
        return Orphan(task, wait_for("another task to begin", probe, deadline=WATCHED_SECONDS))
    except WaitTimeoutError:
        return Orphan(task, ())


def containers(access: Access, nodes: Sequence[str], name: str = "") -> set[str]:
    """The containers that run on ``nodes``, by id; with a ``name``, those of that service of a swarm."""
    only = f" --filter label={LABEL}={shlex.quote(name)}" if name else ""
    outputs = in_parallel([partial(access.run, node, RUNNING + only) for node in nodes])
    return {word for text in outputs for word in text.split()}

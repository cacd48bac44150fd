"""A task that is ended while nobody decides: which one, and whether it stays so."""

from __future__ import annotations

from typing import Any

import pytest
from failover_rig import SWARM, moved, state

from harness.faults import orphan
from harness.faults.orphan import LABEL, choose, end

PLENTY = moved(judge0_server=("server-1", "server-2"))


class Engines:
    """What runs on each node; ``anew`` is what begins once something was killed."""

    nodes = ("runner", "server-1", "worker-1", "worker-2")

    def __init__(self, *, anew: str = "") -> None:
        self.running = {"worker-1": ["judge0-worker-1-worker-1"], "worker-2": ["judge0-worker-2-worker-2"]}
        self.ran: list[tuple[str, str]] = []
        self._anew = anew

    def run(self, node: str, script: str) -> str:
        """``docker kill`` and ``docker ps``."""
        self.ran.append((node, script))
        if script.startswith("docker kill "):
            self.running[node].remove(script.split()[2])
            if self._anew:
                self.running["worker-2"].append(self._anew)
            return ""
        return "\n".join(self.running.get(node, ()))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manager of this world would be quick."""
    monkeypatch.setattr(orphan, "WATCHED_SECONDS", 0.2)


def test_the_task_has_a_sibling_and_runs_programs() -> None:
    """So that its end stops nothing; those on nodes that are away are gone already."""
    task = choose(SWARM, state(), ("runner",))
    assert task is not None
    assert (task.service, task.node) == ("judge0-worker", "worker-1")
    other = choose(SWARM, state(), ("runner", "worker-1"))
    assert other is not None
    assert other.service == "judge0-server"


def test_where_no_task_has_a_sibling_it_is_any() -> None:
    """By then the service need not answer any more."""
    alone = moved(judge0_server=("server-1",), judge0_worker=("worker-1",))
    task = choose(SWARM, state(places=alone), ("runner",))
    assert task is not None
    assert task.node == "worker-1"
    assert choose(SWARM, state(places={}), ("runner",)) is None


def test_a_task_that_stays_ended_is_said_to() -> None:
    """It is asked for on every node that is left, by its service."""
    engines: Any = Engines()
    task = choose(SWARM, state(), ("runner",))
    assert task is not None
    found = end(engines, SWARM, state(), task, ("runner",))
    assert (found.task, found.others) == (task, ())
    asked = {node for node, script in engines.ran if f"{LABEL}=editor-stack_judge0-worker" in script}
    assert asked == {"server-1", "worker-1", "worker-2"}


def test_a_task_that_began_in_its_place_is_named() -> None:
    """Somebody decided after all."""
    engines: Any = Engines(anew="new")
    task = choose(SWARM, state(), ("runner",))
    assert task is not None
    assert end(engines, SWARM, state(), task, ("runner",)).others == ("new",)

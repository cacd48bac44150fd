"""``wavetank scale``: what is passed on, what is printed, and what is refused before anything is reached."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests_cli import Outcome

from harness.access import nodes
from harness.deploy import scale as projects
from harness.deploy.scaling import Scaled
from harness.run.settings import PROJECT
from harness.swarm import scale as swarms
from harness.topology.load import load

Wavetank = Callable[..., Outcome]

DONE = (
    Scaled("judge0-worker", 2, 5, ("worker-1", "worker-1", "worker-1", "worker-2", "worker-2")),
    Scaled("judge0-server", 2, 0, ()),
)


@pytest.fixture(params=["swarm", "standard"])
def asked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """A deployment of either kind that is scaled in play; holds what was asked for."""
    topology = load(PROJECT / "topologies" / f"{request.param}.yaml")
    reached = SimpleNamespace(access=None, deployment=None, topology=topology)
    seen: list[Any] = []

    def change(access: Any, topology: Any, deployment: Any, wanted: Any, *, progress: Any) -> Any:
        seen.append(wanted)
        return DONE

    def never(*given: Any, **named: Any) -> Any:
        raise AssertionError("scaled in the other way")

    monkeypatch.setattr(nodes, "reach", lambda *_: reached)
    monkeypatch.setattr("harness.run.settings.choose_existing", lambda *_: None)
    monkeypatch.setattr(swarms, "scale", change if topology.swarm else never)
    monkeypatch.setattr(projects, "scale", never if topology.swarm else change)
    return seen


def test_tells_what_there_was_and_where_what_is_runs(wavetank: Wavetank, asked: list[Any]) -> None:
    """In a swarm by Docker, elsewhere by compose."""
    done = wavetank("scale", "judge0-worker=5", "judge0-server=0")
    assert done.code == 0
    assert done.out.splitlines() == [
        "judge0-worker: 2 -> 5 (worker-1 3, worker-2 2)",
        "judge0-server: 2 -> 0",
    ]
    assert asked == [{"judge0-worker": 5, "judge0-server": 0}]


def test_json_names_a_node_for_each_task(wavetank: Wavetank, asked: list[Any]) -> None:
    """For programs."""
    first, second = json.loads(wavetank("scale", "judge0-worker=5", "-o", "json").out)["services"]
    assert (first["service"], first["before"], first["replicas"], len(first["nodes"])) == (
        "judge0-worker", 2, 5, 5,
    )  # fmt: skip
    assert second["nodes"] == []


@pytest.mark.parametrize("orders", [["judge0-worker"], ["judge0-worker=five"], ["a=1", "a=2"], []])
def test_order_that_is_none_is_refused(wavetank: Wavetank, tmp_path: Path, orders: list[str]) -> None:
    """Before a deployment is looked for."""
    done = wavetank("scale", *orders, f"--state-dir={tmp_path}")
    assert done.code == 4
    assert done.out == ""
    assert "SERVICE=REPLICAS" in done.err or "given twice" in done.err


def test_without_a_run_it_says_how_to_make_one(wavetank: Wavetank, tmp_path: Path) -> None:
    """There is nothing to scale."""
    done = wavetank("scale", "judge0-worker=5", f"--state-dir={tmp_path}")
    assert done.code == 4
    assert "wavetank up" in done.err

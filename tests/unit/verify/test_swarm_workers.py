"""Do all workers run programs? Judged by what was seen while programs ran, and by how they ended."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from harness.core.errors import CheckFailedError
from harness.judge0.frontdoor import Answer
from harness.verify.swarm import workers
from harness.verify.swarm.workers import require_accepted, watch

WORKERS = {"a" * 64: "worker-1", "b" * 64: "worker-2"}


def test_workers_are_seen_one_after_the_other() -> None:
    """What was seen once counts; the most at once is told."""
    looks: list[Mapping[str, int]] = [{}, {"a" * 64: 2}, {"a" * 64: 1, "b" * 64: 3}]
    assert watch(lambda: looks.pop(0), WORKERS, lambda: False) == {"a" * 64: 2, "b" * 64: 3}


@pytest.mark.parametrize("over", [True, False], ids=["all ended", "time is up"])
def test_a_worker_that_runs_nothing_fails(over: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told by its droplet and its container."""
    monkeypatch.setattr(workers, "SEEN_SECONDS", 0.1)
    with pytest.raises(CheckFailedError, match=r"no program ran in worker-2 \(bbbbbbbbbbbb\)"):
        watch(lambda: {"a" * 64: 4}, WORKERS, lambda: over)


@pytest.mark.parametrize(("status", "text"), [("Internal Error", ""), ("Accepted", "another's")])
def test_a_program_that_did_not_run_well_fails(status: str, text: str) -> None:
    """As with a worker that lacks what its sandbox needs."""
    good, bad = Answer("t", "Accepted", "x\n", {}), Answer("u", status, text, {"message": "box setup failed"})
    require_accepted([good], ["x"])
    with pytest.raises(CheckFailedError, match=r"1 of 2 programs .*box setup failed"):
        require_accepted([good, bad], ["x", "y"])

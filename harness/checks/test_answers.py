"""Programs with known answers, over all workers, until a faulty worker would have been detected."""

from __future__ import annotations

import secrets

import pytest

from harness.core.errors import InconclusiveError
from harness.judge0.client import Judge0
from harness.judge0.detect import Capabilities, detect
from harness.run.session import Session
from harness.verify.answers import Goal, Tally, describe, examine, unnamed, worker_nodes, workers_of
from harness.verify.disturbing import Note

GOAL = Goal(share=0.05, confidence=0.99)


@pytest.fixture
def capabilities(judge0: Judge0) -> Capabilities:
    """Which Judge0 it is, and what it allows."""
    return detect(judge0.get)


@pytest.fixture
def tally(session: Session, capabilities: Capabilities) -> Tally:
    """Nothing counted yet, for each node that runs programs; or for as many workers as Judge0 knows of."""
    nodes = worker_nodes(session)
    if not nodes and not capabilities.slots:
        raise InconclusiveError("the number of workers is unknown: name them in checks.judge0.workers")
    return Tally(workers_of(session.access, nodes) if nodes else unnamed(capabilities.slots or 1))


def test_every_worker_answers_right(
    judge0: Judge0, capabilities: Capabilities, tally: Tally, note: Note
) -> None:
    """No answer is wrong, of so many that a worker with 1 wrong answer in 20 would have been detected."""
    try:
        examine(judge0, capabilities, tally, GOAL, seed=secrets.token_hex(8))
    finally:
        note(describe(tally, GOAL))

"""What an engine says of its swarm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from swarm_helpers import FakeAccess

from harness.core.errors import ResourceError
from harness.swarm import survey
from harness.swarm.survey import Engine

NONE = {
    "NodeID": "",
    "LocalNodeState": "inactive",
    "ControlAvailable": False,
    "Error": "",
    "RemoteManagers": None,
}
WORKER = {**NONE, "NodeID": "n1", "LocalNodeState": "active"}
CLUSTER = {"ID": "c", "Spec": {"Dispatcher": {"HeartbeatPeriod": 2_500_000_000}}}
MANAGER = {**WORKER, "ControlAvailable": True, "Cluster": CLUSTER}
LEADERLESS = {**WORKER, "ControlAvailable": True, "Error": "does not have a leader", "Cluster": None}


@pytest.mark.parametrize(
    ("told", "engine"),
    [
        ({}, Engine("one", "inactive", "", False)),
        (NONE, Engine("one", "inactive", "", False)),
        (WORKER, Engine("one", "active", "n1", False)),
        (MANAGER, Engine("one", "active", "n1", True, heartbeat=2.5)),
        (LEADERLESS, Engine("one", "active", "n1", True, error="does not have a leader")),
    ],
)
def test_engine_is_read_as_it_is(told: dict[str, Any], engine: Engine) -> None:
    """In a swarm or in none."""
    assert survey.parse("one", told) == engine


def test_engine_that_has_just_started_is_given_time() -> None:
    """It finds its swarm again by itself."""
    told = [{**WORKER, "LocalNodeState": "pending"}, WORKER]
    access = FakeAccess(lambda *_: json.dumps(told.pop(0)))
    assert survey.survey(access, ["one"])["one"].state == "active"


def test_engine_that_stays_pending_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked decides what that means."""
    monkeypatch.setattr(survey, "PENDING_SECONDS", 0)
    access = FakeAccess(lambda *_: json.dumps({**WORKER, "LocalNodeState": "pending"}))
    assert survey.survey(access, ["one"])["one"] == Engine("one", "pending", "n1", False)


def test_locked_swarm_is_told_with_the_way_out() -> None:
    """Only who has the key can go on."""
    access = FakeAccess(lambda *_: json.dumps({**WORKER, "LocalNodeState": "locked"}))
    with pytest.raises(ResourceError, match="'one': its swarm is locked: `docker swarm unlock`"):
        survey.survey(access, ["one"])

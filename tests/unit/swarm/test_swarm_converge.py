"""When a stack has converged, when it never will, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.core.errors import ResourceError
from harness.deploy.engine import Image
from harness.swarm import converge as module
from harness.swarm.converge import State, converge, shortfall
from harness.swarm.deploy import changed_services, marker_name
from harness.swarm.images import _agreed, by_node
from harness.swarm.snapshot import Member, ServiceState, Task

READY = Member("a", "A", "worker", "ready", "active", False, "", "10.0.0.2", {})
DOWN = replace(READY, node="b", id="B", status="down")
WEB = ServiceState("web", "W", "sha256:1", 0, 2, "", "")
ONE = Task("t1", "web", 1, "a", "running", "running", "", "sha256:1", "c1", "2026-01-01T00:00:01Z")
TWO = replace(ONE, id="t2", slot=2, container="c2")


def state(*tasks: Task, service: ServiceState = WEB) -> State:
    return State((READY, DOWN), (service,), tasks)


def test_a_service_at_its_replicas_has_converged() -> None:
    """Nothing is missing then."""
    assert shortfall(state(ONE, TWO)) == []


def test_tasks_on_a_dead_node_do_not_count() -> None:
    """The manager does not know better than `running` of them."""
    assert shortfall(state(ONE, replace(TWO, node="b"))) == ["web has 1 of 2 tasks"]


def test_what_a_task_says_of_itself_is_told() -> None:
    """A task that cannot be placed has no node, and an error."""
    pending = replace(TWO, node="", state="pending", error="no suitable node (1 node not available)")
    (missing,) = shortfall(state(ONE, pending))
    assert "1 of 2" in missing
    assert "no suitable node" in missing


def test_an_update_under_way_has_not_converged() -> None:
    """Old and new tasks may add up to the replicas."""
    updating = replace(WEB, update="updating", message="update in progress")
    assert shortfall(state(ONE, TWO, service=updating)) == ["web is updating: update in progress"]


def test_an_old_task_that_still_runs_has_not_converged() -> None:
    """As after scaling down: what is to go still takes work."""
    old = replace(TWO, id="t3", slot=3, desired="shutdown")
    assert shortfall(state(ONE, TWO, old)) == ["1 old tasks of web still end"]


def test_an_old_task_on_a_dead_node_is_not_waited_for() -> None:
    """Nobody can tell when it ends."""
    old = replace(TWO, id="t3", slot=3, desired="shutdown", node="b")
    assert shortfall(state(ONE, TWO, old)) == []


def test_a_service_that_is_not_there_is_missed_where_it_is_asked_for() -> None:
    """An empty stack has not converged either."""
    assert shortfall(State((READY,), (), ()), ["web"]) == ["no service web"]


def test_only_the_services_asked_for_count() -> None:
    """As after scaling one of them."""
    other = replace(WEB, name="other")
    assert shortfall(State((READY,), (WEB, other), (ONE, TWO)), ["web"]) == []


class Swarm:
    """A swarm that is looked at, and whose log says one thing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, looks: Callable[[], State]) -> None:
        monkeypatch.setattr(module.snapshot, "a_manager", lambda *_: "m")
        monkeypatch.setattr(module, "inspect_stack", lambda *_: looks())
        monkeypatch.setattr(module, "_stack", lambda _: "editor")
        self.asked: list[str] = []

    def run(self, _node: str, script: str, **_: object) -> str:
        self.asked.append(script)
        return "Traceback: no such database"

    @staticmethod
    def mask(text: str) -> str:
        return text


def test_a_task_that_fails_over_and_over_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own error and its last log lines, long before the deadline."""
    failed = [replace(TWO, id=f"f{n}", state="failed", error="exit (3)", at=f"{n}") for n in range(5)]
    swarm = Swarm(monkeypatch, lambda: state(ONE, *failed))
    with pytest.raises(ResourceError, match=r"web.*failed 5 times\n.*exit \(3\)\n.*no such database"):
        converge(swarm, None, None)  # type: ignore[arg-type]


def test_failures_from_before_the_change_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker remembers past tasks for a while."""
    failed = [replace(TWO, id=f"f{n}", state="failed", desired="shutdown") for n in range(5)]
    swarm = Swarm(monkeypatch, lambda: state(ONE, TWO, *failed))
    found = converge(swarm, None, None, before=state(ONE, *failed))  # type: ignore[arg-type]
    assert len(found.running("web")) == 2


def test_a_stopped_update_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker does nothing more by itself."""
    paused = replace(WEB, update="paused", message="update paused due to failure")
    swarm = Swarm(monkeypatch, lambda: state(ONE, service=paused))
    with pytest.raises(ResourceError, match="update paused due to failure"):
        converge(swarm, None, None)  # type: ignore[arg-type]


def test_an_update_that_went_back_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """All replicas run again, but not what was ordered."""
    back = replace(WEB, update="rollback_completed", message="rollback completed")
    failed = replace(TWO, id="f", state="failed", desired="shutdown", error="exit (3)")
    swarm = Swarm(monkeypatch, lambda: state(ONE, TWO, failed, service=back))
    with pytest.raises(ResourceError, match=r"(?s)rolled back.*exit \(3\).*no such database"):
        converge(swarm, None, None, before=state(ONE, TWO))  # type: ignore[arg-type]


def test_an_update_that_went_back_long_ago_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker tells the state of the last update for ever."""
    back = replace(WEB, update="rollback_completed", message="rollback completed")
    failed = replace(TWO, id="f", state="failed", desired="shutdown", error="exit (3)")
    swarm = Swarm(monkeypatch, lambda: state(ONE, TWO, failed, service=back))
    before = state(ONE, TWO, failed, service=back)
    assert converge(swarm, None, None, before=before) is not None  # type: ignore[arg-type]


def test_the_deadline_says_what_was_seen_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what the newest failed task said."""
    failed = replace(TWO, id="f", state="failed", error="exit (3)")
    swarm = Swarm(monkeypatch, lambda: state(ONE, failed))
    with pytest.raises(ResourceError, match=r"(?s)editor.*web has 1 of 2 tasks.*no such database"):
        converge(swarm, None, None, deadline=0)  # type: ignore[arg-type]


def test_services_with_new_tasks_are_told_as_changed() -> None:
    """A deployment that restarts nothing changes nothing."""
    assert changed_services(state(ONE, TWO), state(ONE, TWO)) == ()
    assert changed_services(state(ONE), state(ONE, TWO)) == ("web@swarm",)


def test_another_stack_file_has_another_name() -> None:
    """The name alone says whether this was deployed."""
    assert marker_name("s", "one") != marker_name("s", "two")
    assert marker_name("s", "one").startswith("s_stack-")


def test_a_node_gets_each_image_once() -> None:
    """Two services may be made of the same image."""
    image = Image("app:1", "sha256:1")

    class Service:
        def __init__(self, name: str, *nodes: str) -> None:
            self.name, self.nodes = name, nodes

    wanted = by_node(
        [Service("x", "a", "b"), Service("y", "b")],  # type: ignore[list-item]
        {"x": {"x": image}, "y": {"y": image}},
    )
    assert wanted == {"a": [image], "b": [image]}


def test_nodes_must_agree_on_an_image() -> None:
    """A tag that moved between two pulls would run two programs under one name."""
    assert _agreed({"a": {"x": "sha256:1"}, "b": {"x": "sha256:1"}}) == {"x": "sha256:1"}
    with pytest.raises(ResourceError, match=r"x.*sha256:2 on b and sha256:1 on a"):
        _agreed({"a": {"x": "sha256:1"}, "b": {"x": "sha256:2"}})

"""What a topology promises of a fault."""

from __future__ import annotations

import pytest
from failover_rig import HA, HA_PLACES, SWARM, moved, state

from harness.faults.expected import capacities, entry_points, expect, has_quorum, listed
from harness.faults.fault import Fault


def test_a_worker_node_is_survived() -> None:
    """Its tasks run elsewhere, and programs are taken again."""
    found = expect(SWARM, Fault("power_off", ("server-1",)), state())
    assert (found.answers, found.controlled, found.visible) == (True, True, True)
    assert found.capacity["judge0-server"] == 2
    assert "judge0-lb and judge0-server had tasks there. They run on other nodes again" in found.description


def test_a_node_without_tasks_is_not_missed() -> None:
    """And the report does not speak of tasks that move."""
    seen = state(places=moved(judge0_server=("server-1", "judge0-lb")))
    found = expect(SWARM, Fault("power_off", ("server-2",)), seen)
    assert (found.answers, found.description) == (True, "No task of the stack ran there.")


def test_a_pinned_front_door_is_missed() -> None:
    """Its service may run nowhere else; and as the bastion is there, too, nobody can look."""
    found = expect(SWARM, Fault("power_off", ("client",)), state())
    assert (found.answers, found.controlled, found.visible) == (False, True, False)
    assert found.capacity["client"] == 0
    assert "Without client nothing is accepted until client is back." in found.description


def test_the_only_manager_is_the_end_of_rescheduling() -> None:
    """What runs goes on; and that is said to be what the plan buys."""
    found = expect(SWARM, Fault("power_off", ("runner",)), state())
    assert (found.answers, found.controlled) == (True, False)
    assert "what the plan buys with one manager" in found.description
    assert "nothing is rescheduled, scaled or updated until runner is back" in found.description


def test_without_a_manager_a_service_that_lost_its_only_task_is_missed() -> None:
    """Nobody starts another."""
    found = expect(SWARM, Fault("power_off", ("runner", "server-1")), state())
    assert not found.answers
    assert "Without judge0-lb nothing is accepted until runner and server-1 are back." in found.description


def test_one_of_three_managers_is_survived() -> None:
    """Another leads."""
    found = expect(HA, Fault("power_off", ("runner",)), state(HA, HA_PLACES))
    assert (found.answers, found.controlled) == (True, True)
    assert "Another manager leads" in found.description


def test_a_task_that_fits_nowhere_else_waits() -> None:
    """Its port is taken where its sibling runs; the others move."""
    lost = expect(HA, Fault("power_off", ("runner",)), state(HA, HA_PLACES))
    assert "Those of runner-api run on other nodes again, by themselves." in lost.description
    assert "There is no other place for client." in lost.description


def test_two_of_three_managers_leave_nobody_to_decide() -> None:
    """What has tasks on other nodes goes on."""
    found = expect(HA, Fault("power_off", ("server-1", "worker-1")), state(HA, HA_PLACES))
    assert (found.answers, found.controlled) == (True, False)
    assert "1 of 3 managers are left, and it takes 2 to decide" in found.description


def test_a_second_front_door_is_used_when_the_first_is_gone() -> None:
    """One task is the capacity then."""
    found = expect(HA, Fault("power_off", ("client",)), state(HA, HA_PLACES))
    assert found.answers
    assert found.capacity["client"] == 1
    assert entry_points(HA, ("client",)) == ("runner",)
    assert entry_points(SWARM, ("client",)) == ()


def test_plain_projects_are_missed_where_no_node_of_theirs_is_left() -> None:
    """Nobody moves them: the workers of this topology are compose projects."""
    one = expect(HA, Fault("power_off", ("worker-2",)), state(HA, HA_PLACES))
    both = expect(HA, Fault("power_off", ("worker-1", "worker-2")), state(HA, HA_PLACES))
    assert (one.answers, both.answers) == (True, False)
    assert "Without judge0-worker nothing is accepted" in both.description
    assert "judge0-worker, a compose project, goes on on worker-1." in one.description


def test_who_is_cut_off_goes_on_with_what_it_has() -> None:
    """Until it is let in again."""
    found = expect(SWARM, Fault("partition", ("worker-1",)), state())
    assert found.answers
    assert "goes on there, too, and is stopped once it is back" in found.description


def test_room_is_what_was_scaled_to() -> None:
    """Not what the topology began with; a service that it does not know is let be."""
    seen = state(
        places=moved(judge0_worker=("worker-1", "worker-2", "worker-2"), other=("server-1",)),
    )
    assert capacities(SWARM, seen, ("worker-1",))["judge0-worker"] == 3
    assert "other" not in capacities(SWARM, seen, ("worker-1",))


@pytest.mark.parametrize(
    ("lost", "left"), [((), True), (("runner",), True), (("runner", "server-1"), False), (("client",), True)]
)
def test_a_majority_decides(lost: tuple[str, ...], left: bool) -> None:
    """Of three, two."""
    assert has_quorum(HA, lost) is left


def test_names_are_listed_as_people_do() -> None:
    """One, two, several."""
    assert (listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])) == ("a", "a and b", "a, b and c")

"""Which trials the chosen checks will ask for."""

from __future__ import annotations

import pytest

from harness.checks.test_swarm_failover import planned

pytest_plugins = ["pytester"]

CHECKS = """
import pytest

faults = pytest.mark.parametrize("fault", ["power_off:worker-1", "power_off:manager"], scope="session")

@pytest.fixture(scope="session")
def trials(): ...

@pytest.fixture
def trial(trials, fault): ...

@faults
def test_answers(trial): ...

@faults
def test_all_is_well(trial): ...

@pytest.mark.parametrize("fault", ["power_off:elsewhere"])
def test_of_another_kind(fault): ...

@pytest.mark.parametrize("cut_off", ["partition:worker"])
def test_who_was_cut_off_ended(trials, cut_off): ...

@pytest.mark.parametrize("manager_lost", ["power_off:manager"])
def test_leadership_moves(trials, manager_lost): ...

@pytest.mark.parametrize("node", ["worker-1"])
def test_of_a_node(trials, node): ...

def test_of_all(trials): ...
"""


def test_each_trial_is_planned_once_in_the_order_of_the_checks(pytester: pytest.Pytester) -> None:
    """Those of checks that use no trial are none."""
    items, _ = pytester.inline_genitems(pytester.makepyfile(CHECKS))
    assert planned(items) == ("power_off:worker-1", "power_off:manager", "partition:worker")
    assert planned(items[-4:-3]) == ("partition:worker",)
    assert planned(items[-2:]) == ()

"""What was left behind is found by tag and mark, and goes once it is old enough."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from small_topology import PUBLIC_KEY, QUIET, make_topology

from harness import provision
from harness.run.sweep import survey, sweep
from harness.target.api import Api
from harness.target.target import Target

pytestmark = pytest.mark.usefixtures("cloud")

HOUR = timedelta(hours=1)


def up(target: Target, run: str) -> None:
    """A run that just came."""
    key = PUBLIC_KEY.replace("AAAAIDQp", "AAAAIDQ" + run)
    provision.provision(target, make_topology(), run, public_key=key, progress=QUIET)


def later(**span: float) -> datetime:
    """Now, but later."""
    return datetime.now(UTC) + timedelta(**span)


def test_young_runs_stay_and_old_ones_go(target: Target) -> None:
    """Each whole, and nothing else."""
    up(target, "a")
    assert sweep(target, HOUR, now=later(minutes=50)).runs == []
    assert provision.runs(target) == ("a",)
    assert sweep(target, HOUR, now=later(minutes=61)).runs == ["a"]
    assert provision.runs(target) == ()


def test_a_dry_run_only_names_them(target: Target) -> None:
    """They are there afterwards."""
    up(target, "a")
    up(target, "b")
    assert sweep(target, HOUR, dry_run=True, now=later(days=1)).runs == ["a", "b"]
    assert provision.runs(target) == ("a", "b")


def test_a_run_that_somebody_works_on_is_left_alone(target: Target) -> None:
    """However old, and the others go all the same."""
    up(target, "a")
    up(target, "b")
    assert sweep(target, timedelta(0), is_busy=lambda run: run == "a").runs == ["b"]
    assert provision.runs(target) == ("a",)


def test_foreign_resources_are_not_even_found(target: Target) -> None:
    """However old."""
    with Api(target) as api:
        api.client.tags.create(body={"name": "production"})
        api.client.vpcs.create(body={"name": "wavetank", "region": "fra1"})
    assert survey(target) == []
    assert sweep(target, timedelta(0), now=later(days=99)).runs == []


def test_an_emulator_with_others_things_in_it_is_not_empty(target: Target) -> None:
    """It is removed only once nothing is left that anybody made; the networks that came with it are not."""
    assert provision.is_empty(target)
    with Api(target) as api:
        vpc = api.client.vpcs.create(body={"name": "wavetank-precious", "region": "fra1"})["vpc"]
        assert not provision.is_empty(target)
        api.client.vpcs.delete(vpc["id"])
    assert provision.is_empty(target)
    up(target, "a")
    assert not provision.is_empty(target)


def test_a_run_without_a_date_goes_only_when_everything_is_to_go(target: Target) -> None:
    """Tags and keys have none."""
    with Api(target) as api:
        api.client.tags.create(body={"name": "wavetank:a"})
    assert [(found.run, found.age) for found in survey(target)] == [("a", None)]
    assert sweep(target, timedelta(seconds=1), now=later(days=99)).runs == []
    assert sweep(target, timedelta(0)).runs == ["a"]

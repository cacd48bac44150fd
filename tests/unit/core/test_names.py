"""Names say whose they are, and no run's can be taken for another's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import UsageError
from harness.core.names import (
    check_databases,
    check_run,
    longest_run,
    node_of_tag,
    node_tag,
    part_of_name,
    resource_name,
    run_of_name,
    run_of_tag,
    run_tag,
)

WORDS = st.lists(st.text("ab01", min_size=1, max_size=4), min_size=1, max_size=4)
RUNS = WORDS.map("-".join)
PARTS = WORDS.map(lambda words: "x" + "-".join(words))


@given(RUNS, PARTS)
def test_names_and_tags_lead_back_to_their_run(run: str, part: str) -> None:
    """Whatever the run and the resource are called."""
    assert check_run(run) == run
    assert run_of_tag(run_tag(run)) == run_of_tag(node_tag(run, part)) == run
    assert run_of_name(resource_name(run)) == run_of_name(resource_name(run, part)) == run
    assert node_of_tag(node_tag(run, part)) == part
    assert part_of_name(resource_name(run, part)) == part


@given(RUNS, RUNS, PARTS, PARTS)
def test_two_runs_never_share_a_name(one: str, two: str, part: str, other: str) -> None:
    """Not even where one's name begins with the other's."""
    if one != two:
        assert resource_name(one, part) != resource_name(two, other)
        assert node_tag(one, part) != node_tag(two, other)


@pytest.mark.parametrize("run", ["", "A", "a--b", "-a", "a-", "a" * 25, "a_b", "a:b", "a b"])
def test_a_run_that_cannot_be_part_of_every_name_is_refused(run: str) -> None:
    """With an example of what would do."""
    with pytest.raises(UsageError, match="local-7f3a"):
        check_run(run)


def test_a_run_may_be_as_long_as_its_databases_host_names_let_it() -> None:
    """One more, and DigitalOcean's name for the private host has a part of 64 characters."""
    longest = longest_run(["mongo", "postgres"])
    check_databases("r" * longest, ["mongo", "postgres"])
    label = f"private-{resource_name('r' * longest, 'postgres')}-do-user-12345678-0"
    assert len(label) == 63
    with pytest.raises(UsageError, match=rf"too long for database 'postgres'.* at most {longest}$"):
        check_databases("r" * (longest + 1), ["mongo", "postgres"])


def test_without_databases_a_run_may_be_as_long_as_any() -> None:
    """And with a short one, too."""
    assert longest_run([]) == longest_run(["a"]) == len(check_run("r" * 24))


@pytest.mark.parametrize(
    "tag", ["wavetank", "wavetank:", "wavetank::x", "a:b", "wavetank:a:b:c", "wavetank:A"]
)
def test_a_foreign_tag_is_nobodys(tag: str) -> None:
    """However near it comes."""
    assert run_of_tag(tag) is None
    assert node_of_tag(tag) is None


@pytest.mark.parametrize(
    "name", ["wavetank", "wavetank-", "wavetank-A", "mywavetank-a", "web", "wavetank---x"]
)
def test_a_foreign_name_is_nobodys(name: str) -> None:
    """However near it comes."""
    assert run_of_name(name) is None


def test_the_runs_own_tag_names_no_droplet() -> None:
    """It is everybody's."""
    assert node_of_tag("wavetank:a") is None

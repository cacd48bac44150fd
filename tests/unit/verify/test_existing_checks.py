"""Which checks may look at somebody else's deployment: those that say what they send, and disturb nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from harness.verify.existing_checks import LOGIN, NEEDS_LOGIN, NOT_READ_ONLY, SENDS, left_out, note

DISTURBS = pytest.mark.disturbs


@dataclass(frozen=True)
class Item:
    """A check, as far as its marks matter."""

    marks: tuple[pytest.MarkDecorator, ...]
    nodeid: str = "harness/checks/test_x.py::test_x"

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        """As pytest's."""
        return next((each.mark for each in self.marks if each.name == name), None)


def item(*marks: pytest.MarkDecorator) -> Any:
    """A check with these marks."""
    return Item(marks)


def test_a_check_that_says_nothing_is_left_out() -> None:
    """A new one, or somebody's own: nobody has thought about it yet."""
    assert left_out(item(), login=True) == NOT_READ_ONLY


@pytest.mark.parametrize("sends", SENDS)
def test_a_check_that_disturbs_is_left_out(sends: str) -> None:
    """Whatever else it says."""
    assert left_out(item(pytest.mark.existing(sends), DISTURBS), login=True) == NOT_READ_ONLY


@pytest.mark.parametrize("sends", SENDS)
def test_a_check_that_looks_is_collected(sends: str) -> None:
    """One that logs in, only with a key."""
    check = item(pytest.mark.existing(sends))
    assert left_out(check, login=True) == ""
    assert left_out(check, login=False) == (NEEDS_LOGIN if sends == LOGIN else "")


@pytest.mark.parametrize("says", [(), ("everything",), ("api", "login")])
def test_a_mark_has_to_say_what(says: tuple[str, ...]) -> None:
    """A wrong one ends the run instead of meaning something."""
    with pytest.raises(pytest.UsageError, match="says one of api, requests, login"):
        left_out(item(pytest.mark.existing(*says)), login=True)


def test_note_counts_what_was_left_out() -> None:
    """By reason."""
    told = note("prod", 2, ["", "", NOT_READ_ONLY, NEEDS_LOGIN, NEEDS_LOGIN])
    assert told.split("; ") == [
        "an existing deployment, tagged prod, was only looked at: 2 checks",
        f"1 {NOT_READ_ONLY}",
        f"2 {NEEDS_LOGIN}",
    ]

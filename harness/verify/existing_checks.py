"""Which checks may run on an existing deployment, which may be in use: those that are marked for it.

A check says by its mark ``existing`` what it sends there. One that says nothing is not collected, so that a
new one is left out until somebody has thought about it. Nor is what ``disturbs``, whatever else it says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

MARK = "existing"
LOGIN = "login"
SENDS: Mapping[str, str] = {
    "api": "GET requests to the cloud's API",
    "requests": "what any user's browser sends to the front door",
    LOGIN: "commands that read, and single connections, on or from the nodes, over ssh",
}
NOT_READ_ONLY = "left out with --existing: it is not read-only"
NEEDS_LOGIN = "left out with --existing: it logs in to nodes, which takes --ssh-key"


def left_out(item: pytest.Item, *, login: bool) -> str:
    """Why a check is not collected; empty where it is. Raises ``UsageError`` for a mark that says nothing."""
    mark = item.get_closest_marker(MARK)
    if mark is None or item.get_closest_marker("disturbs"):
        return NOT_READ_ONLY
    if mark.args not in [(each,) for each in SENDS]:
        raise pytest.UsageError(
            f"{item.nodeid}: the mark {MARK} says one of {', '.join(SENDS)}, not {mark.args}"
        )
    return "" if login or mark.args != (LOGIN,) else NEEDS_LOGIN


def note(tag: str, collected: int, reasons: Collection[str]) -> str:
    """What the report says at its top."""
    counts = {why: list(reasons).count(why) for why in (NOT_READ_ONLY, NEEDS_LOGIN)}
    counted = [f"{count} {why}" for why, count in counts.items() if count]
    return "; ".join(
        (f"an existing deployment, tagged {tag}, was only looked at: {collected} checks", *counted)
    )

"""A program that the fabric runs has an end, which is later on a slow machine."""

from __future__ import annotations

import pytest
from wt_fabric.command import FabricError, run


def test_a_program_without_end_is_stopped() -> None:
    """The error says what was awaited, and for how long."""
    with pytest.raises(FabricError, match=r"sleep 60: no end after 0 s"):
        run("sleep", "60", seconds=0.01)


def test_a_slow_machine_has_its_timeout_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every other deadline has it."""
    monkeypatch.setenv("WT_TIMEOUT_SCALE", "3000000")
    assert run("sh", "-c", "sleep 0.05; echo slow", seconds=0.00002) == "slow\n"

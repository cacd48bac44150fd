"""Faults over real machines, met through the command line: what it says, exits with, and leaves."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_plan import Shell, shell, write_plan

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small plan's file."""
    return write_plan(tmp_path_factory.mktemp("plan"))


@pytest.fixture
def wavetank(tmp_path: Path, plan: Path) -> Iterator[Shell]:
    """The command line in a directory of its own."""
    with shell(tmp_path / "one", plan) as made:
        yield made


def test_ctrl_c_in_the_middle_leaves_nothing(wavetank: Shell) -> None:
    """While droplets boot: exit code 130, and neither container nor volume nor emulator is left."""
    begun = wavetank.up()
    wavetank.await_droplet(begun)
    begun.interrupt()
    done = begun.end()
    assert done.code == 130, done.err
    assert "stopped by SIGINT" in done.err
    assert wavetank.left() == []
    assert not (wavetank.state_dir / "emulator").exists()


def test_a_killed_up_is_taken_down_by_its_reaper(wavetank: Shell) -> None:
    """kill -9 leaves nobody who could clean up, and yet nothing stays."""
    begun = wavetank.up()
    wavetank.await_droplet(begun)
    begun.process.kill()
    begun.end()
    wavetank.await_nothing_left()


def test_a_killed_emulator_and_up_again(wavetank: Shell) -> None:
    """The first up fails for want of an API; the second, begun at once, stands; down leaves nothing."""
    begun = wavetank.up()
    wavetank.await_droplet(begun)
    os.kill(wavetank.emulator_pid, signal.SIGKILL)
    first = begun.end()
    assert first.code == 3, first.err
    second = wavetank.up("-o", "json").end()
    assert second.code == 0, second.err
    shown = wavetank("status", "-o", "json")
    assert (shown.code, shown.json["healthy"]) == (0, True), shown.err
    assert shown.json["runs"] == [second.json["run"]], "of the first nothing is left"
    down = wavetank("down")
    assert down.code == 0, down.err
    assert wavetank.left() == []

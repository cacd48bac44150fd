"""Faults over real machines, met through the command line: what it says, exits with, and leaves."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_plan import Begun, Shell, shell, write_plan

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


def assert_nothing_is_left(wavetank: Shell, interrupted: Begun) -> None:
    """An up that was interrupted says so, and leaves neither machine nor emulator."""
    done = interrupted.end()
    assert done.code == 130, done.err
    assert "stopped by SIGINT" in done.err
    assert "Traceback" not in done.err
    assert wavetank.left() == []
    assert not (wavetank.state_dir / "emulator").exists()


@pytest.mark.parametrize("moment", ["fabric", "deploy"])
def test_ctrl_c_in_the_middle_leaves_nothing(wavetank: Shell, moment: str) -> None:
    """While the emulator starts, and while ssh is waited for; while droplets boot: see ups at once."""
    begun = wavetank.up()
    getattr(wavetank, f"await_{moment}")(begun)
    begun.interrupt()
    assert_nothing_is_left(wavetank, begun)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 KiB: enough for an emulator to begin on, not to come to answer."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", disk], check=False).returncode:
        pytest.skip("this user cannot mount")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_leaves_no_emulator(full_disk: Path, plan: Path) -> None:
    """Neither its process nor its network; what it says is a sentence."""
    with shell(full_disk, plan) as wavetank:
        done = wavetank.up().end()
        assert done.code == 3, done.err
        assert "KiB are free" in done.err or "disk is full" in done.err, done.err
        assert "Traceback" not in done.err
        assert wavetank.left() == []
        assert not (wavetank.state_dir / "emulator").exists()


def test_a_second_ctrl_c_leaves_the_rest_to_the_reaper(wavetank: Shell) -> None:
    """Whoever does not want to wait for the taking down has it done all the same."""
    begun = wavetank.up()
    wavetank.await_droplet(begun)
    begun.interrupt()
    wavetank.await_report(begun)
    begun.interrupt()
    done = begun.end()
    assert done.code == 130, done.err
    wavetank.await_nothing_left()


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


def test_ups_at_once_have_nothing_in_common(wavetank: Shell, tmp_path: Path, plan: Path) -> None:
    """Two in one directory make two runs in one emulator; one in another directory is stopped meanwhile.

    Ctrl-C leaves neither machine nor emulator there, and goes unnoticed here. Taking one run down leaves the
    other as it is.
    """
    with shell(tmp_path / "two", plan) as other:
        stopped, begun = other.up(), [wavetank.up("-o", "json"), wavetank.up("-o", "json")]
        other.await_droplet(stopped)
        stopped.interrupt()
        assert_nothing_is_left(other, stopped)
    one, two = (each.end() for each in begun)
    assert (one.code, two.code) == (0, 0), one.err + two.err
    assert (len(wavetank.left("fabric")), len(wavetank.left("droplet"))) == (1, 4)
    down = wavetank("down", "--run", one.json["run"])
    assert down.code == 0, down.err
    shown = wavetank("status", "--run", two.json["run"], "-o", "json")
    assert (shown.code, shown.json["runs"]) == (0, [two.json["run"]]), shown.err
    assert "cache is" in wavetank.hello(two.json["run"])
    last = wavetank("down", "--run", two.json["run"])
    assert (last.code, wavetank.left()) == (0, []), last.err


def test_a_droplet_that_never_boots_is_named(wavetank: Shell) -> None:
    """Its container is killed while it boots, again and again: the message says which and shows why."""
    begun = wavetank.up()
    wavetank.kill_droplets_until_it_ends(begun)
    done = begun.end()
    assert done.code == 3, done.err
    assert "droplet 'front'" in done.err or "droplet 'back'" in done.err
    assert "stopped while it booted" in done.err or "stopped as soon as it was started" in done.err
    assert wavetank.left() == []


def test_an_image_that_does_not_build_is_named_with_its_step(tmp_path: Path) -> None:
    """While machines boot; the last lines of the build are told, and everything is taken down."""
    plan = write_plan(tmp_path / "plan")
    dockerfile = plan.parent / "app" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "RUN echo no such luck; exit 7\n")
    with shell(tmp_path / "one", plan) as wavetank:
        done = wavetank.up().end()
        assert done.code == 3, done.err
        assert "image 'hello'" in done.err
        assert "no such luck" in done.err
        assert "exit 7" in done.err
        assert wavetank.left() == []

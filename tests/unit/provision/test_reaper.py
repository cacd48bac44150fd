"""A run whose maker dies is taken down; one that is released stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_topology import PUBLIC_KEY, QUIET, Serve

from harness import provision
from harness.core.process import started_at
from harness.core.wait import NotYet, wait_for
from harness.run import reaper
from harness.run.rundir import RunDir
from harness.target import emulator_process
from harness.target.target import Target
from harness.topology.model import Topology

MAKER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from small_topology import OPERATORS, PUBLIC_KEY, QUIET, make_topology
from harness import provision
from harness.run import reaper
from harness.run.rundir import RunDir
from harness.target.target import resolve_target

state_dir = Path(sys.argv[1])
target = resolve_target("local", state_dir=state_dir, progress=QUIET, operators=OPERATORS)
guard = reaper.guard(target, RunDir(state_dir, "a"), keep=sys.argv[2] == "keep")
provision.provision(target, make_topology(), "a", public_key=PUBLIC_KEY, progress=QUIET)
print("made", flush=True)
sys.stdin.read()
"""
HERE = Path(__file__).parent
PROJECT = HERE.parents[2]


def maker(state_dir: Path, keep: str = "no") -> subprocess.Popen[bytes]:
    """A process that has made run "a" under a reaper, and waits."""
    command = [sys.executable, "-c", MAKER, str(state_dir), keep, str(HERE), str(PROJECT)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"made\n"
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9."""
    process.kill()
    process.communicate()


def environment_of(pid: int) -> str:
    """The environment of a process, which is empty until the kernel has laid out the new program."""

    def read() -> str:
        if "PATH=" not in (environment := Path(f"/proc/{pid}/environ").read_text()):
            raise NotYet(f"{environment!r}")
        return environment

    return wait_for("the environment of a process", read, deadline=10, first_pause=0.01)


def state_of(target: Target) -> Path:
    """The state directory behind a local target."""
    assert target.ca_file is not None
    return target.ca_file.parent.parent


def wait_until_reaped(state_dir: Path) -> None:
    """Until the reaper says that it is done."""
    log = state_dir / "runs" / "a" / reaper.LOG

    def probe() -> None:
        if "run a is deleted" not in log.read_text():
            raise NotYet(log.read_text()[-500:])

    wait_for("the reaper", probe, deadline=60, max_pause=0.2)


def test_a_killed_makers_run_is_taken_down(serve: Serve) -> None:
    """kill -9; an emulator with nothing left in it, that a command had started, goes too."""
    state_dir = state_of(serve())
    kill(maker(state_dir))
    wait_until_reaped(state_dir)
    assert emulator_process.status(state_dir) is None
    assert provision.leftovers(serve(), "a") == ()


def test_another_run_in_the_emulator_outlives_the_reaping(serve: Serve, topology: Topology) -> None:
    """Only the dead maker's run goes."""
    target = serve()
    other_key = PUBLIC_KEY.replace("AAAAIDQp", "AAAAIDQq")
    other = provision.provision(target, topology, "b", public_key=other_key, progress=QUIET)
    kill(maker(state_of(target)))
    wait_until_reaped(state_of(target))
    assert provision.runs(target) == ("b",)
    assert provision.observe(target, topology, "b") == other


def test_an_emulator_that_died_too_is_started_to_take_the_run_down(serve: Serve) -> None:
    """Its state says what there was."""
    state_dir = state_of(serve())
    process = maker(state_dir)
    running = emulator_process.status(state_dir)
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    kill(process)
    wait_until_reaped(state_dir)
    assert provision.leftovers(serve(), "a") == ()


def test_a_kept_run_outlives_its_killed_maker(serve: Serve) -> None:
    """There is no reaper over it."""
    target = serve()
    kill(maker(state_of(target), "keep"))
    assert provision.leftovers(target, "a")


def test_a_released_run_stays_and_the_reaper_ends(serve: Serve, topology: Topology) -> None:
    """Releasing waits for its end, and a second time does nothing."""
    target = serve()
    guard = reaper.guard(target, RunDir(state_of(target), "a"))
    assert guard.process is not None
    pid = guard.process.pid
    provision.provision(target, topology, "a", public_key=PUBLIC_KEY, progress=QUIET)
    guard.release()
    guard.release()
    assert started_at(pid) is None
    assert provision.leftovers(target, "a")


def test_the_reaper_is_told_no_secret_on_its_command_line(serve: Serve) -> None:
    """Everybody on the machine can read that."""
    target = serve()
    with reaper.guard(target, RunDir(state_of(target), "a")) as guard:
        assert guard.process is not None
        assert target.token not in " ".join(map(str, guard.process.args))  # type: ignore[arg-type]


def test_the_reaper_has_no_secret_in_its_environment(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the target's nor those of the user's shell: it may live for hours."""
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "dop_v1_of_the_shell")
    monkeypatch.setenv("JUDGE0_TOKEN", "dop_v1_of_the_shell")
    target = serve()
    with reaper.guard(target, RunDir(state_of(target), "a")) as guard:
        assert guard.process is not None
        environment = environment_of(guard.process.pid)
    assert "dop_v1_of_the_shell" not in environment
    assert target.token not in environment


def test_a_maker_that_dies_before_it_has_begun_has_nothing_taken_down(serve: Serve) -> None:
    """Without a token there is nothing that it can have made."""
    target = serve()
    command = [
        sys.executable,
        "-m",
        "harness.run.reaper",
        *reaper._options(target, RunDir(state_of(target), "a")),
    ]
    done = subprocess.run(command, cwd=PROJECT, input=b"", capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")

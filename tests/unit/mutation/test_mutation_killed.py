"""A campaign that is stopped or killed in the middle leaves nothing changed, or a way back."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mutation_rig import PUBLIC_KEY, RUN

from harness import provision
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.firewall.from_api import read
from harness.firewall.model import FirewallState
from harness.mutation import journal
from harness.mutation.campaign import restore
from harness.run.rundir import RunDir
from harness.run.settings import PROJECT
from harness.target import emulator_process
from harness.target.api import Api
from harness.target.target import Target, resolve_target
from harness.topology import load

QUIET = Progress(quiet=True)
WORKER = Path(__file__).with_name("mutation_worker.py")
SOON = 60.0


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of an emulator that runs no machines, with the standard plan in force."""
    made = tmp_path_factory.mktemp("mutation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAVETANK_PLANE", "memory")
        target = resolve_target("local", state_dir=made, progress=QUIET, operators=("198.51.100.7/32",))
        topology = load(PROJECT / "topologies" / "standard.yaml")
        provision.provision(target, topology, RUN, public_key=PUBLIC_KEY, progress=QUIET)
        provision.lock_down(target, RUN)
        yield made
        emulator_process.stop(made, destroy=True)


@pytest.fixture
def target(state_dir: Path) -> Target:
    """That emulator."""
    return resolve_target("local", state_dir=state_dir, progress=QUIET, operators=("198.51.100.7/32",))


@contextmanager
def looking(state_dir: Path, run_dir: RunDir) -> Iterator[subprocess.Popen[str]]:
    """A campaign that has its first mutant in force and looks at it."""
    argv = [sys.executable, str(WORKER), str(state_dir), str(run_dir.state_dir)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=PROJECT)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "looking\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=SOON)


def now(target: Target) -> FirewallState:
    """What is in force."""
    with Api(target) as api:
        return read(api, RUN).state


def end(process: subprocess.Popen[str], signum: signal.Signals) -> None:
    """Send a signal and wait until it has ended."""
    process.send_signal(signum)

    def probe() -> None:
        if process.poll() is None:
            raise NotYet("it runs")

    wait_for("the campaign to end", probe, deadline=SOON)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_puts_everything_back(
    state_dir: Path, target: Target, run_dir: RunDir, signum: signal.Signals
) -> None:
    """Before it ends, and leaves no journal."""
    original = now(target)
    with looking(state_dir, run_dir) as process:
        assert now(target) != original
        end(process, signum)
    assert now(target) == original
    assert journal.read(run_dir) is None


def test_killed_it_leaves_a_way_back(state_dir: Path, target: Target, run_dir: RunDir) -> None:
    """After kill -9 the mutant is still in force, and the next campaign begins by putting back what was."""
    original = now(target)
    with looking(state_dir, run_dir) as process:
        end(process, signal.SIGKILL)
    assert now(target) != original
    with Api(target) as api:
        assert restore(api, run_dir)
    assert now(target) == original
    assert journal.read(run_dir) is None

"""A command line in this process, over an emulator that runs no machines; deploying is played."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests_cli import Outcome, Stage

from harness.cli import main
from harness.core.progress import Progress
from harness.core.signals import SIGNALS
from harness.deploy import DeployResult
from harness.run import run, up
from harness.target import emulator_process


@pytest.fixture
def wavetank(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Outcome]]:
    """Run a command line in this process."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}

    def call(*arguments: object) -> Outcome:
        code = main.run([str(each) for each in arguments])
        told = capfd.readouterr()
        return Outcome(code, told.out, told.err)

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)
    os.environ.pop("WAVETANK_DEBUG", None)


@pytest.fixture(scope="package")
def memory_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator_process.EmulatorStatus]:
    """An emulator on the memory plane, as the user starts one."""
    state_dir = tmp_path_factory.mktemp("cli")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAVETANK_PLANE", "memory")
        yield emulator_process.start(state_dir, Progress(quiet=True))
        emulator_process.stop(state_dir, destroy=True)


@pytest.fixture
def stage(
    memory_emulator: emulator_process.EmulatorStatus,
    wavetank: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Stage]:
    """``--target=do`` pointed at the memory plane as if it were the cloud; what is left is swept."""
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", memory_emulator.token)
    monkeypatch.setenv("DIGITALOCEAN_API_URL", memory_emulator.https)
    monkeypatch.setenv("WAVETANK_CA_FILE", str(memory_emulator.ca_file))
    monkeypatch.setenv("WAVETANK_OPERATORS", "198.51.100.7/32")
    set_up = Stage(tmp_path / "state", wavetank, lambda *_, **__: DeployResult((), ()))

    def deploy(*given: object, **named: object) -> DeployResult:
        return set_up.deploy(*given, **named)

    monkeypatch.setattr(up, "deploy", deploy)
    monkeypatch.setattr(up, "prepare_images", lambda *_, **__: None)
    monkeypatch.setattr(up, "first_submission", lambda *_: None)
    for module in (up, run):
        monkeypatch.setattr(module, "gather_logs", lambda *_: None)
    yield set_up
    wavetank("sweep", "--target=do", "--yes", "--older-than=0s", f"--state-dir={set_up.state_dir}")

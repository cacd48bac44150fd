"""The command line in this process, over reports on disk; no deployment is needed or reached."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from gate_desk import Desk, Outcome, Wavetank
from gate_samples import found, hash_of, report, standard, write

from harness.cli import main
from harness.gate import environment, judge
from harness.gate import run as flow


@pytest.fixture
def wavetank(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Wavetank]:
    """Run a command line; the standard topology has the samples' objectives."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(flow, "load", lambda _file: standard())
    for module in (environment, judge, flow):
        monkeypatch.setattr(module, "topology_sha256", hash_of)

    def call(*arguments: object) -> Outcome:
        code = main.run([str(each) for each in arguments])
        told = capfd.readouterr()
        return Outcome(code, told.out, told.err)

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def desk(tmp_path: Path, wavetank: Wavetank) -> Desk:
    """A baseline of the steady load."""
    file = tmp_path / "baseline.json"
    source = write(tmp_path / "before.json", report(found()))
    done = wavetank("baseline", "save", f"--from={source}", file)
    assert done.code == 0, done.err
    return Desk(tmp_path, wavetank, file)

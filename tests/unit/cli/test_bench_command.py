"""``wavetank bench``: what it refuses before anything is touched, and how a signal stops it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from harness.cli.main import run
from harness.load.experiments.command import stopped_by_signals


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["latency", "--rate", "0"], "--rate 0: give a number of arrivals"),
        (["latency", "--rate", "-3"], "--rate -3: give a number of arrivals"),
        (["soak", "--rate", "0"], "more than 0"),
        (["scaling", "--workers", "1,none"], "--workers 1,none: give numbers of workers"),
        (["scaling", "--workers", "0"], "--workers 0: give numbers of workers"),
        (["latency", "--schedule", "constant:10x5s", "--rate", "3"], "omit --rate and --seconds"),
        (["latency", "--schedule", "sometimes"], "sometimes"),
        (["latency", "--seconds", "0"], "--seconds"),
        (["latency", "--submission-mode", "shout"], "--submission-mode"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In words that say what would be right, with the exit code of wrong usage."""
    assert run(["bench", *words]) == 4
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("former", ["--door=judge0", "--way=poll"])
def test_former_names_of_options_still_work(
    former: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are understood, and not in the help."""
    assert run(["bench", "latency", former, "--state-dir", str(tmp_path)]) == 4
    assert "wavetank up" in capsys.readouterr().err
    assert run(["bench", "latency", "--help"]) == 0
    assert former.partition("=")[0] not in capsys.readouterr().out


def test_nothing_is_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to put a load on."""
    assert run(["bench", "latency", "--state-dir", str(tmp_path)]) == 4
    assert "wavetank up" in capsys.readouterr().err


def test_first_signal_asks_and_the_second_ends() -> None:
    """What was measured can be kept; who is in a hurry asks twice."""
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda signum, _frame: seen.append(signum))
    try:
        with stopped_by_signals() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.event.is_set()
            assert (stop.signum, seen) == (signal.SIGTERM, [])
            os.kill(os.getpid(), signal.SIGTERM)
            assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)

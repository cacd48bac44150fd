"""The live view: drawn on a terminal, told in lines elsewhere, and gone without a trace when it ends."""

from __future__ import annotations

import io
import math
import os
import pty
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.core.progress import Progress
from harness.load import live as view
from harness.load.live import live
from harness.load.model import Tick

FIRST = Tick(0.25, 12, 12, 12, 10, 0, 2, 120.0, 460.0, 0.04)
SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


def ticks(seconds: float, rate: float = 50.0) -> Iterator[Tick]:
    """Four a second of a run that ends 90 % of what is due."""
    for number in range(1, int(seconds * 4) + 1):
        at = number / 4
        due = int(rate * at)
        yield replace(
            FIRST, at=at, due=due, begun=due, accepted=due, ended=int(due * 0.9), in_flight=due // 10
        )


def told(made: Iterator[Tick], total: float | None = 30.0) -> list[str]:
    """The plain lines of a run."""
    out = io.StringIO()
    with live("latency", total, out) as on_tick:
        for tick in made:
            on_tick(tick)
    return out.getvalue().splitlines()


class Terminal:
    """A real one, with what was written to it."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.out = os.fdopen(slave, "w", encoding="utf-8")

    def read(self) -> str:
        """All that was written so far."""
        self.out.flush()
        os.set_blocking(self.master, False)
        written = b""
        while True:
            try:
                written += os.read(self.master, 65536)
            except BlockingIOError:
                return written.decode()


def broken_off(error: type[BaseException]) -> None:
    """A run that ends by this after its first tick."""
    with live("soak", None) as on_tick:
        on_tick(FIRST)
        raise error


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, kind: str = "xterm") -> Iterator[Terminal]:
    """stderr is a terminal of this kind."""
    made = Terminal()
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setattr(sys, "stderr", made.out)
    try:
        yield made
    finally:
        os.close(made.master)
        made.out.close()


def test_a_line_each_five_seconds_and_one_at_the_end() -> None:
    """By the run's own time, however fast ticks come."""
    lines = told(ticks(12))
    assert [line.split(",")[0] for line in lines] == [f"latency: {at} s of 30 s" for at in (5, 10, 12)]


def test_a_line_holds_all_numbers() -> None:
    """Rates of the last second, counts, errors, quantiles, and how late the generator is."""
    last = replace(FIRST, at=2.0, due=100, accepted=1234, ended=60, errors=3, in_flight=40, p99=math.nan)
    line = told(iter([replace(FIRST, at=1.0, due=40, ended=30), last]))[-1]
    assert line == (
        "latency: 2 s of 30 s, offered 60/s, achieved 30/s, 40 in flight, 1,234 accepted, 60 ended, "
        "3 errors, p50 120 ms, p99 – ms, sent late by 0.04 ms"
    )


def test_waiting_for_answers_is_named() -> None:
    """After the last arrival was due, the time tells what is waited for; without an end there is none."""
    late = replace(FIRST, at=42.0)
    assert "30 s, and 12 s for answers" in told(iter([late]))[-1]
    assert told(iter([late]), None)[-1].startswith("latency: 42 s, offered")


def test_a_run_without_ticks_says_nothing() -> None:
    """A target that refused at once leaves the error alone to be read."""
    assert told(iter(())) == []


def test_a_terminal_sees_the_view_and_keeps_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn anew with each tick; the cursor is back, and the last line has the last numbers."""
    with terminal(monkeypatch) as screen:
        with live("latency [bold]", 30.0) as on_tick:
            for tick in ticks(3):
                on_tick(tick)
        written = screen.read()
    assert written.count("latency [bold]") > 12
    assert written.rindex(SHOW_CURSOR) > written.rindex(HIDE_CURSOR)
    assert "50/s offered" in written
    assert "█" in written
    erased, told = written.splitlines()[-1].split("latency [bold]: 3 s of 30 s, offered 50/s")
    assert erased.count("\x1b[2K") == 8
    assert "sent late by 0.04 ms" in told


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_the_terminal_is_sane_after_ctrl_c(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the block ends: the cursor is shown, stderr is as before, and the last numbers are told."""
    with terminal(monkeypatch) as screen:
        with pytest.raises(error):
            broken_off(error)
        assert sys.stderr is screen.out
        written = screen.read()
    assert written.rindex(SHOW_CURSOR) > written.rindex(HIDE_CURSOR)
    assert "soak: 0 s, " in written.splitlines()[-1]


def test_progress_is_reported_above_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is noted meanwhile takes the place of the view, which is drawn again below it."""
    with terminal(monkeypatch) as screen:
        progress = Progress()
        with live("latency", 30.0) as on_tick:
            on_tick(FIRST)
            screen.read()
            progress.note("worker-1 was scaled")
            on_tick(FIRST)
            written = screen.read()
    above, below = written.split("worker-1 was scaled\r\n")
    assert above.count("\x1b[2K") == 8
    assert "latency" in below


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No escapes at all."""
    with terminal(monkeypatch, kind) as screen:
        with live("latency", 30.0) as on_tick:
            for tick in ticks(6):
                on_tick(tick)
        written = screen.read()
    assert "\x1b" not in written
    assert len(written.splitlines()) == 2


def test_an_old_encoding_gets_letters() -> None:
    """Nothing is written that the terminal cannot show."""
    table = view.view("latency", 30.0, list(ticks(9)), marks=view.LETTERS)
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as seen:
        console.print(table)
    assert seen.get().isascii()


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([0, 0], "▁▁"), ([0, 1, 2], "▁▅█"), ([math.nan, 5.0], " █"), ([3, 1, 2, 4], "▃▅█")],
)
def test_bars_reach_from_nothing_to_the_highest(values: list[float], bars: str) -> None:
    """The last values, each as tall as it is large; no bar where there is no number."""
    assert view.spark(values, width=3) == bars


@given(st.lists(st.floats(), max_size=50))
def test_any_values_have_bars(values: list[float]) -> None:
    """One sign each, never an error."""
    assert len(view.spark(values)) == min(len(values), 40)


def test_only_the_last_minute_is_remembered() -> None:
    """A soak of hours takes no more memory than one of a minute, and its rates are right."""
    history: deque[Tick] = deque()
    for tick in ticks(200):
        view.remember(history, tick)
    assert history[-1].at - history[0].at == view.REMEMBERED
    assert view.rate(history, "due") == 50.0

"""The progress of a run on stderr: a view that is updated in place on a terminal, plain lines elsewhere.

Both end with one line that stays. On a terminal, other output to ``sys.stderr``, such as that of
:class:`harness.core.progress.Progress`, appears above the view. Rates are those of about the last second.
"""

from __future__ import annotations

import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from harness.core.formatting import figure
from harness.load.model import Tick

if TYPE_CHECKING:
    from rich.console import Group

EVERY_SECONDS = 5.0  # between two plain lines
REMEMBERED = 60.0  # seconds that the sparklines show
BLOCKS, LETTERS = "▁▂▃▄▅▆▇█", "_.-=+*#@"  # for terminals with Unicode, and for those with only ASCII

OnTick = Callable[[Tick], None]


@contextmanager
def live(title: str, total_seconds: float | None, stream: TextIO | None = None) -> Iterator[OnTick]:
    """A function to call with each tick, for the block's length.

    ``total_seconds`` is how long arrivals are due, or None if unknown. However the block ends, the terminal's
    cursor is shown again and the last numbers are printed in a line.
    """
    out = stream if stream is not None else sys.stderr
    history: deque[Tick] = deque()
    shown = _drawn if out.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown") else _lines
    try:
        with shown(title, total_seconds, out) as show:

            def on_tick(tick: Tick) -> None:
                remember(history, tick)
                show(history)

            yield on_tick
    finally:
        if history:
            _write(out, line(title, total_seconds, history))


def remember(history: deque[Tick], tick: Tick) -> None:
    """Add a tick, and forget those that are too old to be shown."""
    history.append(tick)
    while tick.at - history[0].at > REMEMBERED:
        history.popleft()


def rate(history: Iterable[Tick], name: str, over: float = 1.0) -> float:
    """The rate a second of one of a tick's counts, in the last ``over`` seconds or since the start."""
    ticks = list(history)
    last = ticks[-1]
    past = next((tick for tick in reversed(ticks) if last.at - tick.at >= over - 1e-6), None)
    before, since = (getattr(past, name), past.at) if past else (0, 0.0)
    return float(getattr(last, name) - before) / max(last.at - since, 1e-3)


def spark(values: Iterable[float], width: int = 40, marks: str = BLOCKS) -> str:
    """The last ``width`` values as a row of bars from 0 to the highest; a space if there is none."""
    row = list(values)[-width:]
    most = _most(row)
    return "".join(_bar(value, most, marks) for value in row)


def _bar(value: float, most: float, marks: str) -> str:
    if not math.isfinite(value):
        return " "
    return marks[min(int(max(value, 0.0) / most * len(marks)), len(marks) - 1)] if most > 0 else marks[0]


def line(title: str, total_seconds: float | None, history: Iterable[Tick]) -> str:
    """The progress in one line of text."""
    ticks = list(history)
    last = ticks[-1]
    parts = [
        f"{title}: {_clock(last.at, total_seconds)}",
        f"offered {figure(rate(ticks, 'due'))}/s",
        f"achieved {figure(rate(ticks, 'ended'))}/s",
        f"{last.in_flight:,} in flight",
        f"{last.accepted:,} accepted",
        f"{last.ended:,} ended",
        f"{last.errors:,} errors",
        f"p50 {_ms(last.p50)}",
        f"p99 {_ms(last.p99)}",
        f"sent late by {_ms(last.late_p99)}",
    ]
    return ", ".join(parts)


def view(title: str, total_seconds: float | None, history: Iterable[Tick], marks: str = BLOCKS) -> Group:
    """The progress in a few lines, for a terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    ticks = list(history)
    grid = Table.grid(padding=(0, 2))
    for row in _rows(ticks, marks):
        grid.add_row(*(Text(cell, no_wrap=True) for cell in row))
    errors = Text(f"{ticks[-1].errors:,}", style="bold red" if ticks[-1].errors else "")
    grid.add_row(Text("errors"), errors)
    heading = Text(f"{title}  ", style="bold", no_wrap=True, overflow="ellipsis")
    return Group(heading.append(_clock(ticks[-1].at, total_seconds), style="not bold"), grid)


def _rows(ticks: list[Tick], marks: str) -> Iterator[tuple[str, str, str]]:
    last, places = ticks[-1], _seconds(ticks)
    ended = [rate(ticks[: place + 1], "ended") for place in places]
    slow = [ticks[place].p99 for place in places]
    yield "rate", f"{figure(rate(ticks, 'due'))}/s offered", f"{figure(rate(ticks, 'ended'))}/s achieved"
    yield "so far", f"{last.accepted:,} accepted", f"{last.ended:,} ended"
    yield "now", f"{last.in_flight:,} in flight", f"sent late by {_ms(last.late_p99)}"
    yield "latency", f"p50 {_ms(last.p50)}", f"p99 {_ms(last.p99)}"
    yield "ended /s", spark(ended, marks=marks), f"up to {figure(max(ended))}"
    yield "p99", spark(slow, marks=marks), f"up to {_ms(_most(slow))}"


def _seconds(ticks: list[Tick]) -> list[int]:
    """The place of one tick for each second: its last."""
    last = {int(tick.at): place for place, tick in enumerate(ticks)}
    return list(last.values())


def _most(values: Iterable[float]) -> float:
    return max((value for value in values if math.isfinite(value)), default=math.nan)


def _clock(at: float, total_seconds: float | None) -> str:
    """``12 s of 30 s``; what comes after the last arrival is waiting for answers."""
    if total_seconds is None:
        return f"{at:.0f} s"
    if at > total_seconds + 1:
        return f"{total_seconds:.0f} s, and {at - total_seconds:.0f} s for answers"
    return f"{at:.0f} s of {total_seconds:.0f} s"


def _ms(value: float) -> str:
    return f"{figure(value)} ms"


Show = Callable[[deque[Tick]], None]


@contextmanager
def _drawn(title: str, total_seconds: float | None, out: TextIO) -> Iterator[Show]:
    """A view that is redrawn with each tick, by no thread of its own, and vanishes at the end."""
    from rich.console import Console
    from rich.live import Live

    console = Console(file=out, force_terminal=True)
    marks = BLOCKS if console.encoding.startswith("utf") else LETTERS
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as drawn:
        yield lambda history: drawn.update(view(title, total_seconds, history, marks), refresh=True)


@contextmanager
def _lines(title: str, total_seconds: float | None, out: TextIO) -> Iterator[Show]:
    """A line each few seconds of the run's own time."""
    written = 0.0

    def show(history: deque[Tick]) -> None:
        nonlocal written
        if history[-1].at - written >= EVERY_SECONDS:
            written = history[-1].at
            _write(out, line(title, total_seconds, history))

    yield show


def _write(out: TextIO, text: str) -> None:
    """One write for the whole line, so that no other output gets between."""
    out.write(f"{text}\n")
    out.flush()

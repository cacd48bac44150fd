"""How far a scan is: a bar with rate and time left on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

EVERY_SECONDS = 5.0

ReportProgress = Callable[[int, int], None]


@contextmanager
def bar(title: str, stream: TextIO | None = None, *, unit: str = "probes") -> Iterator[ReportProgress]:
    """A function to call with how many are done and how many there are, for the block's length; on stderr."""
    out = stream if stream is not None else sys.stderr
    if out.isatty():
        with _drawn(title, out) as report:
            yield report
    else:
        yield _Lines(title, out, unit).report


@contextmanager
def _drawn(title: str, out: TextIO) -> Iterator[ReportProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(file=out)) as progress:
        task = progress.add_task(title, total=None, rate="")
        begun = time.monotonic()

        def report(sent: int, total: int) -> None:
            rate = _rate(sent, time.monotonic() - begun)
            progress.update(task, completed=sent, total=total or None, rate=rate)

        yield report


class _Lines:
    """Plain lines: the first after a few seconds, one for each further few, one at the end."""

    def __init__(self, title: str, out: TextIO, unit: str) -> None:
        self._title, self._out, self._unit = title, out, unit
        self._begun = self._last = time.monotonic()
        self._over = False

    def report(self, sent: int, total: int) -> None:
        now = time.monotonic()
        done = 0 < total <= sent
        if self._over or (now - self._last < EVERY_SECONDS and not done):
            return
        self._last, self._over = now, done
        seconds = now - self._begun
        left = "" if done or not sent else f", {max(total - sent, 0) * seconds / sent:.0f} s left"
        print(
            f"{self._title}: {sent:,} of {total:,} {self._unit}, {_rate(sent, seconds)}{left}",
            file=self._out,
            flush=True,
        )


def _rate(sent: int, seconds: float) -> str:
    rate = sent / max(seconds, 0.001)
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"

"""Do the same to several things at once; the first failure ends the rest and is the one that is raised."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def nothing() -> None:
    """Do nothing."""


def in_parallel(
    items: Iterable[T], work: Callable[[T], R], *, interrupt: Callable[[], None] = nothing, workers: int = 32
) -> list[R]:
    """Return ``[work(item) ...]`` in the items' order.

    When one fails, or the user interrupts, ``interrupt`` is called to cut short what is under way.
    """
    todo = list(items)
    with ThreadPoolExecutor(max_workers=min(workers, max(len(todo), 1))) as pool:
        futures = [pool.submit(work, item) for item in todo]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        except BaseException:  # ctrl-C: workers would otherwise go on to their deadlines
            _cut_short(pool, interrupt)
            raise
        failed = [future for future in futures if future in done and future.exception()]
        if failed:
            _cut_short(pool, interrupt)
        return [future.result() for future in failed or futures]


def _cut_short(pool: ThreadPoolExecutor, interrupt: Callable[[], None]) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    interrupt()

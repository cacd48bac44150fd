"""Do several blocking calls at once with a few threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

from harness.wait import patient

T = TypeVar("T")

WORKERS = 8
FEW = 2


def nothing() -> None:
    """Do nothing."""


def in_parallel(
    jobs: Iterable[Callable[[], T]],
    *,
    workers: int | None = None,
    interrupt: Callable[[], None] = nothing,
) -> list[T]:
    """Call every job and return what they returned, in order.

    ``workers`` of them at once; by default 8, or 2 on a machine so slow that ``WAVETANK_PATIENCE`` is set:
    with more, members of a swarm there seem dead to each other, whose own time-outs nobody can stretch.

    The first error ends it, and is the one that is raised: what has not begun is not begun, ``interrupt`` is
    called to cut short what has, and that is waited for, so that nobody is still changing things when this
    returns or raises. That holds for ctrl-C too.
    """
    pool = ThreadPoolExecutor(workers or (WORKERS if patient(1) == 1 else FEW), thread_name_prefix="wavetank")
    try:
        futures = [pool.submit(job) for job in jobs]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:
            if future in done:
                future.result()
        return [future.result() for future in futures]
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        interrupt()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

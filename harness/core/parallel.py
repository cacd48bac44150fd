"""Do several blocking calls at once with a few threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, TypeVar

from harness.core import signals
from harness.core.wait import scaled

T = TypeVar("T")

WORKERS = 8
FEW = 2
SOON_SECONDS = 1.0


class Pool(ThreadPoolExecutor):
    """Threads whose waits a signal ends; after an error in the block, pending calls are cancelled."""

    def submit(self, call: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        """As the base's; ``map`` comes here as well."""
        return super().submit(signals.bound(call), *arguments, **named)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown(wait=True, cancel_futures=error is not None)


def nothing() -> None:
    """Do nothing."""


def in_parallel(
    jobs: Iterable[Callable[[], T]],
    *,
    workers: int | None = None,
    interrupt: Callable[[], None] = nothing,
) -> list[T]:
    """Call every job and return what they returned, in order.

    ``workers`` of them at once; by default 8, or 2 on a machine so slow that it has a timeout scale: with
    more, members of a swarm there seem dead to each other, because their own timeouts are not scaled.

    The first error is raised: pending jobs are cancelled, ``interrupt`` is called to stop the running ones,
    and they are waited for, so that nothing is still changing when this returns or raises. The same holds for
    ctrl-C, which ends the waits of all jobs; it does not end a request that changes something, and a message
    says that this is waited for.
    """
    futures: list[Future[T]] = []
    pool = Pool(workers or (WORKERS if scaled(1) == 1 else FEW), thread_name_prefix="wavetank")
    try:
        with signals.deferred():  # a job that began but is not in the list would not be waited for
            futures += [pool.submit(job) for job in jobs]
        done = _until_first_error(futures)
        for future in futures:
            if future in done:
                future.result()
        return [future.result() for future in futures]
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        interrupt()
        if isinstance(error, KeyboardInterrupt):
            _report_slow(futures)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _until_first_error(futures: Sequence[Future[Any]]) -> set[Future[Any]]:
    """The calls that have ended, once all have or one has failed.

    Looks again each second: a signal that comes just before the main thread begins to wait does not end that
    wait (CPython handles signals between instructions, and in system calls that they interrupt).
    """
    while True:
        done, pending = wait(futures, timeout=SOON_SECONDS, return_when=FIRST_EXCEPTION)
        if not pending or any(each.exception() for each in done):
            return done


def _report_slow(futures: Sequence[Future[Any]]) -> None:
    slow = wait(futures, timeout=SOON_SECONDS).not_done
    if slow:
        signals.write_stderr(
            f"stopping: waiting for {len(slow)} running requests; another signal ends at once"
        )

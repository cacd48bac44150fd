"""Work on the plane: recorded first, done outside the request, taken up again after a crash.

Jobs of one machine run one after another, those of different machines side by side. What a job is, is
registered with :func:`job`: ``work`` calls the plane (and may be repeated), ``settle`` records how it
ended in the same transaction that forgets the job.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from emulator.cloud.models import Job
from emulator.cloud.store import StoreClosedError, StoreError
from emulator.planes.base import PlaneError
from harness.core.errors import WaitTimeoutError
from harness.core.wait import NotYet, wait_for

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

log = logging.getLogger(__name__)

ATTEMPTS = 3
INTERRUPT_SECONDS = 300.0
Transitions = Literal["background", "immediate", "manual"]
Work = Callable[["Cloud", Job], None]
Settle = Callable[["Cloud", Job, str], None]


@dataclass(frozen=True)
class JobKind:
    """What to do for a job, and how to record its end (``error`` is empty if it went well).

    One that ``interrupts`` is also tried at once, beside what is under way for the same machine, to make
    that end soon; it runs again, and counts, when its turn comes.
    """

    work: Work
    settle: Settle
    interrupts: bool = False


KINDS: dict[str, JobKind] = {}


def job(name: str, *, settle: Settle, interrupts: bool = False) -> Callable[[Work], Work]:
    """Register a kind of job under ``name``."""

    def register(work: Work) -> Work:
        KINDS[name] = JobKind(work, settle, interrupts)
        return work

    return register


class Jobs:
    """Runs jobs, in threads (``background``), at commit in the caller's (``immediate``), or on request."""

    def __init__(self, cloud: Cloud, transitions: Transitions = "background", width: int = 16) -> None:
        self._cloud, self._transitions = cloud, transitions
        self._slots = threading.BoundedSemaphore(width)
        self._lock = threading.Lock()
        self._queues: dict[str, deque[Job]] = {}
        self._held: deque[Job] = deque()
        self._closed = False

    def close(self) -> None:
        """Settle nothing from here on: what is under way is taken up by the next start."""
        self._closed = True

    def submit(self, work: str, ref: str, action_id: int = 0, **arguments: Any) -> None:
        """Record a job in the open transaction, to be started once that has committed."""
        store = self._cloud.store
        number = store.next_number("job", 1)
        record = store.put(Job(id=number, work=work, ref=ref, action_id=action_id, arguments=arguments))
        store.after_commit(lambda: self._start(record))

    def submit_later(self, work: str, ref: str) -> None:
        """Record a job in the open transaction, to be started by :meth:`resume`."""
        store = self._cloud.store
        store.put(Job(id=store.next_number("job", 1), work=work, ref=ref))

    def retry(self, record: Job) -> None:
        """In a settlement: put the job back, for ``ATTEMPTS`` attempts in all and more at the next start."""
        attempt = int(record.arguments.get("attempt", 1)) + 1
        arguments = {**record.arguments, "attempt": attempt}
        store = self._cloud.store
        again = store.put(
            record.model_copy(update={"id": store.next_number("job", 1), "arguments": arguments})
        )
        if attempt <= ATTEMPTS:
            store.after_commit(lambda: self._start(again))

    def resume(self) -> None:
        """Take up what was recorded and not settled when the server died."""
        for record in self._cloud.store.all(Job):
            log.info("resuming %s of %s", record.work, record.ref)
            self._start(record)

    def advance(self, count: int | None = None) -> int:
        """In manual mode: run the next ``count`` jobs (default: all that wait) here; returns how many ran."""
        ran = 0
        while self._held and (count is None or ran < count):
            self.run(self._held.popleft())
            ran += 1
        return ran

    def busy(self) -> bool:
        """Whether any job is not settled."""
        return bool(self._cloud.store.all(Job))

    def run(self, record: Job) -> None:
        """Do one job to its end and settle it; what cannot be recorded is left to the next start."""
        try:
            self._run(KINDS[record.work], record)
        except StoreClosedError:
            log.info("%s of %s is left to the next start", record.work, record.ref)
        except StoreError as error:
            log.warning("%s of %s is left to the next start: %s", record.work, record.ref, error)

    def _run(self, kind: JobKind, record: Job) -> None:
        error = ""
        try:
            kind.work(self._cloud, record)
        except (StoreClosedError, StoreError):
            raise
        except PlaneError as failure:
            error = str(failure) or type(failure).__name__
            log.warning("%s of %s failed: %s", record.work, record.ref, error)
        except Exception as failure:  # a fault of ours must end as an errored action, never as an endless one
            error = f"internal error: {type(failure).__name__}: {failure}"
            log.exception("%s of %s failed", record.work, record.ref)
        if self._closed:
            return
        with self._cloud.store.transaction():
            kind.settle(self._cloud, record, error)
            self._cloud.store.delete(record)

    def _start(self, record: Job) -> None:
        if self._transitions == "immediate":
            self.run(record)
        elif self._transitions == "manual":
            self._held.append(record)
        else:
            self._enqueue(record)

    def _enqueue(self, record: Job) -> None:
        with self._lock:
            queue = self._queues.get(record.ref)
            if queue is not None:
                queue.append(record)
                if KINDS[record.work].interrupts:
                    threading.Thread(target=self._interrupt, args=(record,), daemon=True).start()
                return
            self._queues[record.ref] = deque([record])
        threading.Thread(target=self._drain, args=(record.ref,), name=record.ref, daemon=True).start()

    def _interrupt(self, record: Job) -> None:
        """Do the work early, and again until its turn comes: the first try may come too soon."""

        def probe() -> None:
            with self._lock:
                waits = record in self._queues.get(record.ref, ())
            if waits and not self._closed:
                KINDS[record.work].work(self._cloud, record)
                raise NotYet(f"{record.ref} is still busy")

        try:
            wait_for(f"the turn of {record.work}", probe, deadline=INTERRUPT_SECONDS, tolerate=(PlaneError,))
        except (StoreClosedError, StoreError):
            return
        except WaitTimeoutError as error:
            log.warning("%s", error)

    def _drain(self, ref: str) -> None:
        while True:
            with self._lock:
                queue = self._queues[ref]
                if not queue:
                    del self._queues[ref]
                    return
                record = queue.popleft()
            with self._slots:
                self.run(record)

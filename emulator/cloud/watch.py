"""What happens to machines outside of the API: noticed, recorded, and repaired where that is possible.

The plane reports that something happened; the machines are then inspected, and compared with the records
while nothing else is done. Machines that recorded work is about are left to that work: the API's own
power_off, reboot or destroy is never mistaken for somebody else's. They are inspected again once it has
ended.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.cloud.clock import now
from emulator.cloud.models import Database, Droplet, Job
from emulator.cloud.store import StoreClosedError, StoreError
from emulator.planes.base import MachineEvent, PlaneError, PowerState

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
ATTEMPTS = 20
MOST_NOTICES = 200
DROPLET_STOPPED = "its container was stopped outside of the API; power it on"
DROPLET_REMOVED = (
    "its container was removed outside of the API, and its disk with it; rebuild or destroy the droplet"
)
DATABASE_STOPPED = "its container was stopped outside of the API; `docker start` it, or restart the emulator"
DATABASE_REMOVED = "its container was removed outside of the API, and its data with it; destroy the cluster"
# Work that removes a machine itself: what goes while this is under way may not be caused by somebody else.
REMOVERS = frozenset(
    {"droplet.create", "droplet.rebuild", "droplet.destroy", "database.create", "database.destroy"}
)
# What these have to do with ends with the record, so nothing waits for their end: one that fails stays.
DESTROYERS = frozenset({"droplet.destroy", "database.destroy"})
STARTED = "its container was started outside of the API; it is connected again"
AWAY = "it was stopped while the engine was away; it is started again"
FABRIC_LOST = "the network's container has ended; it is made anew, with the rules that are in force"


@dataclass(frozen=True)
class Notice:
    """Something that happened outside of the API."""

    at: str
    ref: str
    text: str


@dataclass(frozen=True)
class Snapshot:
    """What there is: machines by ref, those that were started, and those that the engine may have stopped.

    ``gone``: those that somebody removed while work was under way, which may have failed for that reason.
    ``away`` has an empty ref where the engine was away, and may have stopped any.
    """

    machines: Mapping[str, PowerState]
    started: Collection[str]
    gone: Collection[str]
    away: frozenset[str]

    def stopped_with_engine(self, ref: str) -> bool:
        """Whether a machine that is stopped may have been taken along by the engine."""
        return not self.away.isdisjoint(("", ref))


class Watch:
    """``background`` False: the plane's events are handled in the thread that reports them."""

    def __init__(self, cloud: Cloud, *, background: bool) -> None:
        self._cloud, self._background = cloud, background
        self._wake = threading.Condition()
        self._events: list[tuple[str, MachineEvent]] = []
        self._gone: set[str] = set()
        self._closed = False
        self._notices: deque[Notice] = deque(maxlen=MOST_NOTICES)

    def start(self) -> None:
        """Listen to the plane from now on."""
        if self._background:
            threading.Thread(target=self._loop, name="watch", daemon=True).start()
        self._cloud.plane.watch(self._on_event)

    def close(self) -> None:
        """Listen no more."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()

    def notices(self) -> list[Notice]:
        """What was noticed since the server started, oldest first; the last ``MOST_NOTICES``."""
        return list(self._notices)

    def _on_event(self, ref: str, what: MachineEvent) -> None:
        with self._wake:
            self._events.append((ref, what))
            self._wake.notify_all()
        if ref == "fabric" and what == "stopped":
            self._note(ref, FABRIC_LOST)
            self._cloud.network.renew()
        if not self._background:
            self._handle_events()

    def _loop(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._events or self._closed)
                if self._closed:
                    return
            if not self._try_to_handle_events():
                with self._wake:
                    self._wake.wait_for(lambda: self._closed, RETRY_SECONDS)

    def _try_to_handle_events(self) -> bool:
        try:
            return self._handle_events()
        except StoreClosedError:
            self.close()
        except (PlaneError, StoreError) as error:
            self._mark_away(str(error))
        except Exception:  # one failure must not be the end
            log.exception("the machines cannot be inspected")
        return False

    def _mark_away(self, problem: str) -> None:
        """An engine that does not answer is away, and may take machines with it."""
        with self._wake:
            if ("", "away") not in self._events:
                self._events.append(("", "away"))
                log.warning("the machines cannot be inspected: %s", problem)

    def _handle_events(self) -> bool:
        """Inspect the machines and handle the events; they stay queued where the records kept changing.

        True if nothing is left: an end of a machine that work is under way for waits for the end of that,
        and so does the engine's absence, which may have stopped it.
        """
        with self._wake:
            events = list(self._events)
        for _ in range(ATTEMPTS):
            before = self._cloud.store.version
            snapshot = Snapshot(
                self._cloud.plane.existing().machines,
                {ref for ref, what in events if what == "started"},
                frozenset(self._gone),
                frozenset(ref for ref, what in events if what == "away"),
            )
            with self._cloud.store.transaction():
                if self._cloud.store.version != before:
                    continue
                jobs = list(self._cloud.store.all(Job))
                self._compare(snapshot, {job.ref for job in jobs})
            waits = self._postponed(events, jobs)
            with self._wake:
                self._events[: len(events)] = waits
            return not waits
        return False

    def _postponed(
        self, events: Collection[tuple[str, MachineEvent]], jobs: Collection[Job]
    ) -> list[tuple[str, MachineEvent]]:
        """The events that must be handled again after ``jobs``, each once."""
        busy = {job.ref for job in jobs if job.work not in DESTROYERS}
        removers = {job.ref for job in jobs if job.work in REMOVERS}
        waits: list[tuple[str, MachineEvent]] = [
            (ref, what) for ref, what in events if ref in busy and what != "started"
        ]
        if ("", "away") in events:
            waits += [(ref, "away") for ref in sorted(busy)]
        self._gone = {ref for ref, what in waits if what == "removed" and ref not in removers}
        return list(dict.fromkeys(waits))

    def _compare(self, snapshot: Snapshot, busy: Collection[str]) -> None:
        store = self._cloud.store
        for droplet in store.all(Droplet):
            if droplet.ref not in busy and not droplet.deleted:
                self._compare_droplet(droplet, snapshot)
        for database in store.all(Database):
            if database.ref not in busy and not database.deleted:
                self._compare_database(database, snapshot)

    def _compare_droplet(self, droplet: Droplet, snapshot: Snapshot) -> None:
        state, was_on = snapshot.machines.get(droplet.ref), droplet.status == "active"
        if state is None and (
            was_on or droplet.ref in snapshot.gone or droplet.error in ("", DROPLET_STOPPED)
        ):
            self._off(droplet, DROPLET_REMOVED)
        elif state == "stopped" and was_on and snapshot.stopped_with_engine(droplet.ref):
            self._resubmit("droplet.power_on", droplet.ref, AWAY)
        elif state == "stopped" and was_on:
            self._off(droplet, DROPLET_STOPPED)
        elif state == "running" and droplet.ref in snapshot.started:
            self._resubmit("droplet.power_on", droplet.ref, STARTED)

    def _compare_database(self, database: Database, snapshot: Snapshot) -> None:
        state, was_on = snapshot.machines.get(database.ref), database.status == "online"
        if state is None and (was_on or database.ref in snapshot.gone or database.error == DATABASE_STOPPED):
            self._not_online(database, DATABASE_REMOVED)
        elif state == "stopped" and was_on and snapshot.stopped_with_engine(database.ref):
            self._resubmit("database.start", database.ref, AWAY)
        elif state == "stopped" and was_on:
            self._not_online(database, DATABASE_STOPPED)
        elif state == "running" and database.ref in snapshot.started:
            self._cloud.store.put(database.model_copy(update={"status": "creating"}))
            self._resubmit("database.start", database.ref, STARTED)

    def _off(self, droplet: Droplet, why: str) -> None:
        self._cloud.store.put(droplet.model_copy(update={"status": "off", "error": why}))
        self._note(droplet.ref, why)

    def _not_online(self, database: Database, why: str) -> None:
        self._cloud.store.put(database.model_copy(update={"status": "creating", "error": why}))
        self._note(database.ref, why)

    def _resubmit(self, work: str, ref: str, why: str) -> None:
        self._cloud.jobs.submit(work, ref)
        self._note(ref, why)

    def _note(self, ref: str, text: str) -> None:
        log.warning("%s: %s", ref, text)
        self._notices.append(Notice(now(), ref, text))

"""What happens to machines behind the API's back: noticed, recorded, and set right where that can be.

The plane says that something happened; what is so is then looked up, and compared with the records while
nothing else is done. Machines that recorded work is about are left to that work: the API's own power_off,
reboot or destroy is never mistaken for somebody's hand. They are looked at again once it has ended.
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
from emulator.planes.base import Heard, PlaneError, PowerState

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
LOOKS = 20
MOST_NOTICES = 200
DROPLET_STOPPED = "its container was stopped outside of the API; power it on"
DROPLET_REMOVED = (
    "its container was removed outside of the API, and its disk with it; rebuild or destroy the droplet"
)
DATABASE_STOPPED = "its container was stopped outside of the API; `docker start` it, or restart the emulator"
DATABASE_REMOVED = "its container was removed outside of the API, and its data with it; destroy the cluster"
# Work that removes a machine itself: what goes while this is under way may not be somebody's doing.
REMOVERS = frozenset(
    {"droplet.create", "droplet.rebuild", "droplet.destroy", "database.create", "database.destroy"}
)
STARTED = "its container was started outside of the API; it is connected again"
AWAY = "it was stopped while the engine was away; it is started again"
FABRIC_LOST = "the network's container has ended; it is made anew, with the rules that are in force"


@dataclass(frozen=True)
class Notice:
    """Something that happened behind the API's back."""

    at: str
    ref: str
    text: str


@dataclass(frozen=True)
class Seen:
    """What there is: machines by ref, those that were heard to start, and whether the engine was away.

    ``gone``: those that somebody removed while work was under way, which may have failed for that reason.
    """

    machines: Mapping[str, PowerState]
    started: Collection[str]
    gone: Collection[str]
    away: bool


class Watch:
    """``background`` False: what the plane says is dealt with in the thread that says it."""

    def __init__(self, cloud: Cloud, *, background: bool) -> None:
        self._cloud, self._background = cloud, background
        self._wake = threading.Condition()
        self._heard: list[tuple[str, Heard]] = []
        self._gone: set[str] = set()
        self._closed = False
        self._notices: deque[Notice] = deque(maxlen=MOST_NOTICES)

    def start(self) -> None:
        """Listen to the plane from now on."""
        if self._background:
            threading.Thread(target=self._loop, name="watch", daemon=True).start()
        self._cloud.plane.watch(self._hear)

    def close(self) -> None:
        """Listen no more."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()

    def notices(self) -> list[Notice]:
        """What was noticed since the server started, oldest first; the last ``MOST_NOTICES``."""
        return list(self._notices)

    def _hear(self, ref: str, what: Heard) -> None:
        with self._wake:
            self._heard.append((ref, what))
            self._wake.notify_all()
        if ref == "fabric" and what == "stopped":
            self._note(ref, FABRIC_LOST)
            self._cloud.network.renew()
        if not self._background:
            self._deal()

    def _loop(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._heard or self._closed)
                if self._closed:
                    return
            if not self._try_to_deal():
                with self._wake:
                    self._wake.wait_for(lambda: self._closed, RETRY_SECONDS)

    def _try_to_deal(self) -> bool:
        try:
            return self._deal()
        except StoreClosedError:
            self.close()
        except (PlaneError, StoreError) as error:
            self._miss(str(error))
        except Exception:  # one bad look must not be the last
            log.exception("it cannot be seen what became of machines")
        return False

    def _miss(self, problem: str) -> None:
        """An engine that cannot be asked is away, and may take machines with it."""
        with self._wake:
            if ("", "away") not in self._heard:
                self._heard.append(("", "away"))
                log.warning("it cannot be seen what became of machines: %s", problem)

    def _deal(self) -> bool:
        """Look, and deal with what was heard; it stays heard where nobody held still for so long.

        True if nothing is left: an end of a machine that work is under way for waits for the end of that.
        """
        with self._wake:
            heard = list(self._heard)
        for _ in range(LOOKS):
            before = self._cloud.store.version
            seen = Seen(
                self._cloud.plane.existing().machines,
                {ref for ref, what in heard if what == "started"},
                frozenset(self._gone),
                any(what == "away" for _, what in heard),
            )
            with self._cloud.store.transaction():
                if self._cloud.store.version != before:
                    continue
                jobs = list(self._cloud.store.all(Job))
                self._compare(seen, {job.ref for job in jobs})
            waits = self._put_off(heard, jobs)
            with self._wake:
                self._heard[: len(heard)] = waits
            return not waits
        return False

    def _put_off(
        self, heard: Collection[tuple[str, Heard]], jobs: Collection[Job]
    ) -> list[tuple[str, Heard]]:
        """The ends that must be looked at again after ``jobs``."""
        busy = {job.ref for job in jobs}
        removers = {job.ref for job in jobs if job.work in REMOVERS}
        waits: list[tuple[str, Heard]] = [
            (ref, what) for ref, what in heard if ref in busy and what in ("stopped", "removed")
        ]
        self._gone = {ref for ref, what in waits if what == "removed" and ref not in removers}
        return waits

    def _compare(self, seen: Seen, busy: Collection[str]) -> None:
        store = self._cloud.store
        for droplet in store.all(Droplet):
            if droplet.ref not in busy and not droplet.deleted:
                self._compare_droplet(droplet, seen)
        for database in store.all(Database):
            if database.ref not in busy and not database.deleted:
                self._compare_database(database, seen)

    def _compare_droplet(self, droplet: Droplet, seen: Seen) -> None:
        state, was_on = seen.machines.get(droplet.ref), droplet.status == "active"
        if state is None and (was_on or droplet.ref in seen.gone or droplet.error in ("", DROPLET_STOPPED)):
            self._off(droplet, DROPLET_REMOVED)
        elif state == "stopped" and was_on and seen.away:
            self._again("droplet.power_on", droplet.ref, AWAY)
        elif state == "stopped" and was_on:
            self._off(droplet, DROPLET_STOPPED)
        elif state == "running" and droplet.ref in seen.started:
            self._again("droplet.power_on", droplet.ref, STARTED)

    def _compare_database(self, database: Database, seen: Seen) -> None:
        state, was_on = seen.machines.get(database.ref), database.status == "online"
        if state is None and (was_on or database.ref in seen.gone or database.error == DATABASE_STOPPED):
            self._not_online(database, DATABASE_REMOVED)
        elif state == "stopped" and was_on and seen.away:
            self._again("database.start", database.ref, AWAY)
        elif state == "stopped" and was_on:
            self._not_online(database, DATABASE_STOPPED)
        elif state == "running" and database.ref in seen.started:
            self._cloud.store.put(database.model_copy(update={"status": "creating"}))
            self._again("database.start", database.ref, STARTED)

    def _off(self, droplet: Droplet, why: str) -> None:
        self._cloud.store.put(droplet.model_copy(update={"status": "off", "error": why}))
        self._note(droplet.ref, why)

    def _not_online(self, database: Database, why: str) -> None:
        self._cloud.store.put(database.model_copy(update={"status": "creating", "error": why}))
        self._note(database.ref, why)

    def _again(self, work: str, ref: str, why: str) -> None:
        self._cloud.jobs.submit(work, ref)
        self._note(ref, why)

    def _note(self, ref: str, text: str) -> None:
        log.warning("%s: %s", ref, text)
        self._notices.append(Notice(now(), ref, text))

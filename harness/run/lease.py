"""Leases: who uses a run, on any machine. A lease is a tag with an expiry time, renewed while a command runs.

``wavetank-lease:RUN:UNTIL:USER:HOST:ID`` is not a tag of the run (no resource has it, no plan contains it),
so it is not drift and does not disturb a check. ``UNTIL`` is in seconds since 1970 by the holder's clock. A
lease ends with its command; that of a command that dies expires by itself. Clocks may differ by some minutes:
that is less than the remaining time of a lease when it is renewed.
"""

from __future__ import annotations

import atexit
import getpass
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.core.errors import UsageError, WavetankError
from harness.core.names import lease_tag, parts_of_lease

if TYPE_CHECKING:
    from harness.core.progress import Progress
    from harness.target.api import Api
    from harness.target.target import Target

LIFE_SECONDS = 600
RENEW_SECONDS = 60.0
BEGIN_SECONDS = 10.0
END_SECONDS = 10.0
INTERRUPTED_SECONDS = 1.0  # an interrupted command must end soon
PARTS = 5
LONGEST_PART = 60


@dataclass(frozen=True)
class Lease:
    """One holder's lease. ``id`` distinguishes the commands of one user."""

    run: str
    until: int
    user: str
    host: str
    id: str

    @property
    def tag(self) -> str:
        """The tag."""
        return lease_tag(self.run, str(self.until), self.user, self.host, self.id)

    @property
    def holder(self) -> tuple[str, str]:
        """User and host, independent of the command."""
        return self.user, self.host

    def __str__(self) -> str:
        until = datetime.fromtimestamp(self.until, UTC)
        return f"{self.user} on {self.host} uses it (until {until:%Y-%m-%d %H:%M:%S} UTC, unless renewed)"


def me() -> tuple[str, str]:
    """This user and machine, in the characters that a tag allows."""
    return _part(_user()), _part(socket.gethostname())


def parse(tag: str) -> Lease | None:
    """The lease in a tag; None if the tag is not a lease."""
    parts = parts_of_lease(tag) or ()
    if len(parts) != PARTS or not parts[1].isdecimal():
        return None
    return Lease(parts[0], int(parts[1]), *parts[2:])


def alive(tags: Iterable[str], *, now: float | None = None) -> tuple[Lease, ...]:
    """The leases among ``tags`` that have not expired, the latest of each command."""
    present = time.time() if now is None else now
    found = sorted(filter(None, map(parse, tags)), key=lambda each: each.until)
    latest = {(each.run, each.id): each for each in found if each.until > present}
    return tuple(latest.values())


def check_free(run: str, leases: Iterable[Lease], progress: Progress, *, force: bool) -> None:
    """Report who uses a run. Raises ``UsageError`` if another user does, unless ``force``."""
    for each in leases:
        if each.holder != me() and not force:
            raise UsageError(
                f"run {run!r} is in use: {each}; wait until that has ended, or use --force to delete it "
                "anyway"
            )
        progress.note(f"{run}: {each}")


def keep(target: Target, run: str) -> None:
    """Hold a lease on ``run`` from now until :func:`end`, which is called at the end of the command.

    If no lease can be created, as with a read-only token, the command works without.
    """
    key = (target.endpoint, run)
    if key not in _keepers:
        _keepers[key] = _Keeper(target, run)
        _keepers[key].begin()


def end(target: Target | None = None, run: str = "", *, seconds: float | None = None) -> None:
    """Release the lease on one run, or all of this process; one that takes longer expires."""
    for endpoint, name in tuple(_keepers):
        if target is None or (endpoint, name) == (target.endpoint, run):
            _keepers.pop((endpoint, name)).end(END_SECONDS if seconds is None else seconds)


class _Keeper:
    """Creates, renews and releases one lease, in a daemon thread."""

    def __init__(self, target: Target, run: str) -> None:
        self._target, self._lease = target, Lease(run, 0, *me(), secrets.token_hex(4))
        self._tags: list[str] = []  # created and not deleted yet, the valid one last
        self._begun, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._loop, name=f"lease of {run}", daemon=True)

    def begin(self) -> None:
        """Return once the lease exists, or could not be created."""
        self._thread.start()
        self._begun.wait(BEGIN_SECONDS)

    def end(self, seconds: float) -> None:
        """Delete the tag, or let it expire if that takes too long."""
        self._over.set()
        self._thread.join(seconds)

    def _loop(self) -> None:
        from harness.target.api import Api

        with Api(self._target) as api:
            _attempt(lambda: self._renew(api))
            self._begun.set()
            while not self._over.wait(RENEW_SECONDS):
                _attempt(lambda: self._renew(api))
            _attempt(lambda: self._forget(api, 0))

    def _renew(self, api: Api) -> None:
        tag = replace(self._lease, until=int(time.time()) + LIFE_SECONDS).tag
        self._tags.append(tag)
        api.client.tags.create(body={"name": tag})
        self._forget(api, 1)

    def _forget(self, api: Api, spared: int) -> None:
        from harness.target.api import optional

        while len(self._tags) > spared:
            optional(api.client.tags.delete, self._tags[0])
            del self._tags[0]


_keepers: dict[tuple[str, str], _Keeper] = {}
atexit.register(end)


def _attempt(work: Callable[[], None]) -> None:
    try:
        work()
    except (WavetankError, OSError):  # the next renewal tries again; without one the lease expires
        return


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "nobody"


def _part(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]+", "-", text)[:LONGEST_PART] or "unknown"

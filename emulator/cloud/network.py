"""Keeps the plane's filters equal to what the records ask for, and knows which firewalls are in force.

Every change asks for an application; those asked for while one is under way are done by the next. What was
applied last is remembered, so that a firewall's ``status`` and ``pending_changes`` show what is in force, not
what is requested.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from emulator.cloud.models import Database, Droplet, Firewall
from emulator.cloud.policy import covers, network_policy
from emulator.cloud.store import StoreClosedError, StoreError
from emulator.planes.base import MemberPolicy, NetworkPolicy, PlaneError

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
FirewallStatus = Literal["waiting", "succeeded", "failed"]


@dataclass(frozen=True)
class PendingChange:
    """A droplet to which a firewall's present form does not apply yet."""

    droplet_id: int
    removing: bool
    status: FirewallStatus


@dataclass(frozen=True)
class Applied:
    """What is in force: each machine's rules, and the droplets of each firewall."""

    policies: Mapping[str, MemberPolicy] = field(default_factory=dict)
    members: Mapping[str, frozenset[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """What the records ask for at one moment, and what was in force then."""

    droplets: tuple[Droplet, ...]
    wanted: Mapping[str, MemberPolicy]
    applied: Applied


class Network:
    """The applier. ``background`` False: every change is applied at its commit, in the caller's thread."""

    def __init__(self, cloud: Cloud, *, background: bool) -> None:
        self._cloud, self._background = cloud, background
        self._wake = threading.Condition()
        self._wanted = self._done = 0
        self._closed = False
        self._applied = Applied()
        self._failed = False
        self._applying = threading.Lock()

    def start(self) -> None:
        """Apply what the records ask for, now, and keep doing so. Raises ``PlaneError``."""
        self._apply()
        if self._background:
            threading.Thread(target=self._loop, name="network", daemon=True).start()

    def close(self) -> None:
        """Stop applying; what is in force stays so."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()

    def changed(self) -> None:
        """Apply what the records ask for once the open transaction has committed."""
        self._cloud.store.after_commit(self._request)

    def renew(self) -> None:
        """Apply what the records ask for again: what was in force may be lost."""
        self._request()

    def policy(self) -> NetworkPolicy:
        """What the records ask for now, under a new serial."""
        store = self._cloud.store
        with store.transaction():
            serial = store.next_number("policy", 1)
            droplets, databases, firewalls = self._records()
        return network_policy(serial, droplets, databases, firewalls)

    def snapshot(self) -> Snapshot:
        """What is to be in force now and what is: read once, the status of every firewall follows from it."""
        droplets, databases, firewalls = self._records()
        wanted = network_policy(0, droplets, databases, firewalls)
        return Snapshot(tuple(droplets), {member.ref: member for member in wanted.members}, self._applied)

    def status(
        self, firewall: Firewall, snapshot: Snapshot | None = None
    ) -> tuple[FirewallStatus, list[PendingChange]]:
        """Whether a firewall is in force on all of its droplets, and on which it is not."""
        snapshot = snapshot or self.snapshot()
        droplets, applied = snapshot.droplets, snapshot.applied
        members = frozenset(droplet.id for droplet in droplets if covers(firewall, droplet))
        before = applied.members.get(firewall.id, frozenset())
        state: FirewallStatus = "failed" if self._failed else "waiting"
        late = {
            number
            for number in members | (before & {droplet.id for droplet in droplets})
            if snapshot.wanted.get(f"droplet:{number}") != applied.policies.get(f"droplet:{number}")
        }
        if not late:
            return "succeeded", []
        return state, [PendingChange(number, number not in members, state) for number in sorted(late)]

    def _records(self) -> tuple[list[Droplet], list[Database], list[Firewall]]:
        store = self._cloud.store
        droplets = [droplet for droplet in store.all(Droplet) if not droplet.deleted]
        databases = [database for database in store.all(Database) if not database.deleted]
        return droplets, databases, store.all(Firewall)

    def _request(self) -> None:
        if not self._background:
            self._try_apply()
            return
        with self._wake:
            self._wanted += 1
            self._wake.notify_all()

    def _loop(self) -> None:
        while True:
            with self._wake:
                while self._wanted == self._done and not self._closed:
                    self._wake.wait()
                if self._closed:
                    return
                wanted = self._wanted
            if self._try_apply():
                self._done = wanted
            else:
                with self._wake:
                    self._wake.wait(RETRY_SECONDS)

    def _try_apply(self) -> bool:
        try:
            self._apply()
        except StoreClosedError:
            return False
        except (PlaneError, StoreError) as error:
            self._failed = True
            log.error("the network policy could not be applied: %s", error)  # noqa: TRY400 (the text says it all)
        except Exception:  # the applier must outlive a fault of the plane, or no rule would ever change again
            self._failed = True
            log.exception("the network policy could not be applied")
        return not self._failed

    def _apply(self) -> None:
        with self._applying:
            with self._cloud.store.transaction():
                policy = self.policy()
                droplets, _, firewalls = self._records()
            self._cloud.plane.apply(policy)
            members = {
                firewall.id: frozenset(droplet.id for droplet in droplets if covers(firewall, droplet))
                for firewall in firewalls
            }
            self._applied = Applied({member.ref: member for member in policy.members}, members)
            self._failed = False

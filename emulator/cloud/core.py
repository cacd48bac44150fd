"""The cloud: its records, its plane, and what runs between the two."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emulator.cloud import databases, droplet_actions, droplets, projects, recovery, vpcs
from emulator.cloud.certificates import Pair, make_authority
from emulator.cloud.jobs import Jobs, Transitions
from emulator.cloud.models import Account
from emulator.cloud.network import Network
from emulator.cloud.scans import Scans
from emulator.cloud.store import Store
from emulator.cloud.watch import Watch
from emulator.planes.base import Plane

__all__ = ["JOB_MODULES", "Cloud", "Limits"]

JOB_MODULES = (databases, droplets, droplet_actions)  # importing them registers their kinds of jobs


@dataclass(frozen=True)
class Limits:
    """What the account may have."""

    droplets: int = 100
    databases: int = 50


class Cloud:
    """One account's cloud.

    ``state`` is the SQLite file (None: memory only). ``transitions``: ``background`` does the plane's work in
    threads; ``immediate`` within the call that asks for it, so that the next request sees it done; ``manual``
    only when ``jobs.advance()`` is called.
    """

    def __init__(
        self,
        state: Path | None,
        plane: Plane,
        *,
        transitions: Transitions = "background",
        limits: Limits | None = None,
    ) -> None:
        self.store = Store(state)
        self.plane = plane
        self.limits = limits or Limits()
        self.jobs = Jobs(self, transitions)
        self.network = Network(self, background=transitions == "background")
        self.scans = Scans(self)
        self.watch = Watch(self, background=transitions == "background")

    @property
    def account(self) -> Account:
        """The account, made with the store. Raises ``LookupError`` before :meth:`start`."""
        account = self.store.get(Account, "account")
        if account is None:
            raise LookupError("the cloud was not started")
        return account

    def start(self, start_plane: Callable[[], object] | None = None) -> None:
        """Make the account where there is none, attach to the plane, take up what was under way.

        ``start_plane`` takes the place of the plane's ``start``, for a caller that has begun it already.
        Raises ``PlaneError`` if the plane cannot do its work, first of all enforce rules, and ``StoreError``
        if there are records that nobody can read.
        """
        self.store.check()
        self.seed()
        (start_plane or self.plane.start)()
        recovery.recover(self)
        self.network.start()
        self.jobs.resume()
        self.watch.start()

    def seed(self) -> None:
        """Make the account, its default project and each region's default VPC, where they are missing."""
        with self.store.transaction():
            if self.store.get(Account, "account") is None:
                self.store.put(_new_account())
            projects.seed(self)
            vpcs.seed(self)

    def close(self) -> None:
        """Close everything; machines keep running and recorded work is taken up by the next start."""
        self.watch.close()
        self.scans.close()
        self.jobs.close()
        self.network.close()
        self.plane.close()
        self.store.close()

    def advance(self, count: int | None = None) -> int:
        """With ``manual`` transitions: do the next ``count`` pieces of work (default: all that wait)."""
        return self.jobs.advance(count)


def _new_account() -> Account:
    authority: Pair = make_authority("Wavetank project CA")
    return Account(
        uuid=str(uuid.uuid4()),
        team_uuid=str(uuid.uuid4()),
        token=f"dop_v1_{secrets.token_hex(32)}",
        ca_certificate=authority.certificate,
        ca_key=authority.key,
    )

"""Actions: the record of something done to a droplet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.cloud.clock import now
from emulator.cloud.errors import NotFoundError
from emulator.cloud.models import Action, Droplet

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

FIRST_ID = 2_500_000_001


def begin(cloud: Cloud, droplet: Droplet, type_: str) -> Action:
    """Record an action as in progress."""
    return cloud.store.put(
        Action(
            id=cloud.store.next_number("action", FIRST_ID), type=type_, started_at=now(),
            resource_id=droplet.id, region=droplet.region,
        )
    )  # fmt: skip


def end(cloud: Cloud, action_id: int, error: str = "") -> None:
    """Record an action's end; nothing happens if it has ended."""
    action = cloud.store.get(Action, action_id)
    if action is not None and action.status == "in-progress":
        status = "errored" if error else "completed"
        cloud.store.put(action.model_copy(update={"status": status, "completed_at": now()}))


def get(cloud: Cloud, action_id: str) -> Action:
    """One action. Raises ``NotFoundError``."""
    action = cloud.store.get(Action, action_id)
    if action is None:
        raise NotFoundError
    return action


def newest_first(cloud: Cloud, droplet_id: int | None = None) -> list[Action]:
    """All actions, or those of one droplet."""
    actions = cloud.store.all(Action)[::-1]
    return [action for action in actions if droplet_id is None or action.resource_id == droplet_id]

"""Putting a protection in force through the API, and waiting until it is."""

from __future__ import annotations

from harness.api import Api, every
from harness.errors import WavetankError
from harness.mutation.protection import Ground, Protection, read
from harness.names import run_of_name
from harness.wait import NotYet, wait_for

IN_FORCE_DEADLINE = 120.0
FIRST_PAUSE, MAX_PAUSE = 0.01, 1.0
RESTORE_DEADLINE = 60.0


class NotRestoredError(WavetankError):
    """What a mutant changed could not be put back; says what is left different, and what mends it."""

    def __init__(self, run: str, left: str, cause: object = "") -> None:
        why = f"\n  because: {cause}" if cause else ""
        super().__init__(
            f"run {run!r} is not protected as it was; left different: {left}{why}\n"
            f"  mend it with `wavetank up --run {run}`, which makes it what the topology says"
        )


def put(api: Api, ground: Ground, before: Protection, after: Protection) -> None:
    """Change what differs and return once it is in force. Raises ``ApiError`` or ``WaitTimeoutError``."""
    for name, sources in after.trusted:
        if dict(before.trusted).get(name) != sources:
            rules = [{"type": kind, "value": value} for kind, value in sources]
            database = ground.databases[name].id
            api.client.databases.update_firewall_rules(database, body={"rules": rules})
    there = {each.id: each for each in before.walls}
    for wall in after.walls:
        if there.get(wall.id) != wall:
            api.client.firewalls.update(wall.id, body=wall.body())
    await_in_force(api, ground.run)


def await_in_force(api: Api, run: str) -> None:
    """Until every firewall of the run says ``succeeded`` and has no pending changes."""

    def probe() -> None:
        ours = (each for each in every(api.client.firewalls.list, "firewalls"))
        waiting = [
            f"{each['name']} {each['status']}"
            for each in ours
            if run_of_name(each["name"]) == run
            and (each["status"] != "succeeded" or each.get("pending_changes"))
        ]
        if waiting:
            raise NotYet(", ".join(waiting))

    wait_for(
        "the firewalls to be in force",
        probe,
        deadline=IN_FORCE_DEADLINE,
        first_pause=FIRST_PAUSE,
        max_pause=MAX_PAUSE,
    )


def restore(api: Api, original: Protection, run: str, *, deadline: float = RESTORE_DEADLINE) -> None:
    """Put ``original`` back and see that it is there, whatever is now. Raises ``NotRestoredError``.

    An API that fails is asked again until ``deadline`` (seconds) has passed.
    """
    left = ["not known"]

    def probe() -> None:
        ground, now = read(api, run)
        left[:] = now.differences(original)
        put(api, ground, now, original)
        left[:] = read(api, run)[1].differences(original)
        if left:
            raise NotYet(", ".join(left))

    try:
        wait_for(
            "the protection to be as it was",
            probe,
            deadline=deadline,
            first_pause=FIRST_PAUSE,
            max_pause=MAX_PAUSE,
            tolerate=(WavetankError,),
        )
    except WavetankError as error:
        raise NotRestoredError(run, ", ".join(left) or "not known", error) from error

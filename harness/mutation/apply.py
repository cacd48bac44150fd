"""Putting firewalls and trusted sources in force through the API, and waiting until they are."""

from __future__ import annotations

from harness.core.errors import WavetankError
from harness.core.names import run_of_name
from harness.core.wait import NotYet, wait_for
from harness.firewall.bodies import source_bodies
from harness.firewall.from_api import read
from harness.firewall.model import FirewallState, Network
from harness.target.api import Api, every

IN_FORCE_DEADLINE = 120.0
FIRST_PAUSE, MAX_PAUSE = 0.01, 1.0
RESTORE_DEADLINE = 60.0


class NotRestoredError(WavetankError):
    """What a mutant changed could not be restored; says what is still different, and what repairs it."""

    def __init__(self, run: str, left: str, cause: object = "") -> None:
        why = f"\n  because: {cause}" if cause else ""
        super().__init__(
            f"run {run!r} is not protected as it was; still different: {left}{why}\n"
            f"  repair it with `wavetank up --run {run}`, which makes it what the topology says"
        )


def put(api: Api, network: Network, after: FirewallState) -> None:
    """Change what differs from what is in force in ``network``, and return once it is so.

    Raises ``ApiError`` or ``WaitTimeoutError``.
    """
    for name, sources in after.trusted:
        if dict(network.state.trusted).get(name) != sources:
            database = network.databases[name].id
            rules = source_bodies(sources)
            api.client.databases.update_firewall_rules(database, body={"rules": rules})
    there = {each.id: each for each in network.state.firewalls}
    for firewall in after.firewalls:
        if there.get(firewall.id) != firewall:
            api.client.firewalls.update(firewall.id, body=firewall.body())
    await_in_force(api, network.run)


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


def restore(api: Api, original: FirewallState, run: str, *, deadline: float = RESTORE_DEADLINE) -> None:
    """Restore ``original`` and check that it is in force, whatever is now. Raises ``NotRestoredError``.

    An API that fails is retried until ``deadline`` (seconds) has passed.
    """
    left = ["not known"]

    def probe() -> None:
        now = read(api, run)
        left[:] = now.state.differences(original)
        put(api, now, original)
        left[:] = read(api, run).state.differences(original)
        if left:
            raise NotYet(", ".join(left))

    try:
        wait_for(
            "the firewalls to be as they were",
            probe,
            deadline=deadline,
            first_pause=FIRST_PAUSE,
            max_pause=MAX_PAUSE,
            tolerate=(WavetankError,),
        )
    except WavetankError as error:
        raise NotRestoredError(run, ", ".join(left) or "not known", error) from error

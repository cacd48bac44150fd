"""Wait until everything of a run works, and say what went wrong where it never will."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.core.errors import ResourceError
from harness.core.names import run_of_name
from harness.core.parallel import in_parallel
from harness.core.wait import NotYet, wait_for
from harness.provision.console import Console, console
from harness.provision.observe import Body, database_of, databases_of, droplets_of, node_of
from harness.target.api import Api, every
from harness.target.target import Target
from harness.topology.model import Topology

ACTIONS_EVERY = 4


@dataclass(frozen=True)
class Deadlines:
    """How long each kind of thing may take, seconds. A cloud's databases take minutes."""

    droplets: float = 300.0
    databases: float = 1200.0
    firewalls: float = 120.0
    removal: float = 300.0


def longest_pause(target: Target) -> float:
    """The longest pause between two polls, seconds: an emulator is near, a cloud limits requests."""
    return 0.3 if target.info else 5.0


def wait_until_ready(
    api: Api, target: Target, topology: Topology, run: str, deadlines: Deadlines, *, changed: bool
) -> None:
    """Return once all droplets are active, all databases online and, where things changed, firewalls applied.

    Raises ``ResourceError`` as soon as one of them has failed, with what its console says.
    """
    pause = longest_pause(target)
    droplets = _Droplets(api, target, topology, run)
    databases = partial(_databases, api, target, topology, run)
    firewalls = partial(_firewalls, api, run)
    wait_for("droplets to be active", droplets, deadline=deadlines.droplets, max_pause=pause)
    wait_for("databases to be online", databases, deadline=deadlines.databases, max_pause=pause)
    if changed:
        wait_for("firewalls to be applied", firewalls, deadline=deadlines.firewalls, max_pause=pause)


class _Droplets:
    """A probe that reads the list each time, and looks for failed actions every few times."""

    def __init__(self, api: Api, target: Target, topology: Topology, run: str) -> None:
        self._api, self._target, self._topology, self._run = api, target, topology, run
        self._polls = 0

    def __call__(self) -> None:
        droplets = droplets_of(self._api, self._run)
        waiting = [each for each in droplets if each["status"] != "active"]
        missing = set(self._topology.droplets) - {node_of(each, self._run) for each in droplets}
        if not waiting and not missing:
            return
        if self._polls % ACTIONS_EVERY == 0:
            in_parallel([partial(self._check, each) for each in waiting])
        self._polls += 1
        pending = [f"{each['name']} {each['status']}" for each in waiting]
        raise NotYet(", ".join((*pending, *(f"{name} missing" for name in sorted(missing)))))

    def _check(self, droplet: Body) -> None:
        answer = self._api.client.droplet_actions.list(droplet["id"])
        newest = max(answer.get("actions") or (), key=lambda action: action["id"], default=None)
        if newest is not None and newest["status"] == "errored":
            output = console(self._target, "droplet", droplet["id"])
            raise ResourceError(
                "droplet",
                droplet["name"],
                f"action {newest['type']} ({newest['id']}) errored{_console_text(output)}",
            )


def _databases(api: Api, target: Target, topology: Topology, run: str) -> None:
    databases = databases_of(api, run)
    waiting = [each for each in databases if each["status"] != "online"]
    missing = set(topology.databases) - {database_of(each) for each in databases}
    for database in waiting:
        _check_database(target, database)
    if waiting or missing:
        pending = [f"{each['name']} {each['status']}" for each in waiting]
        raise NotYet(", ".join((*pending, *(f"{name} missing" for name in sorted(missing)))))


def _check_database(target: Target, database: Body) -> None:
    """The API has no status for a cluster that failed; an emulator reports it by its own path."""
    output = console(target, "database", database["id"])
    if output.error:
        raise ResourceError("database", database_of(database), f"was not made{_console_text(output)}")


def _firewalls(api: Api, run: str) -> None:
    ours = [
        each for each in every(api.client.firewalls.list, "firewalls") if run_of_name(each["name"]) == run
    ]
    # One that failed is waited for as well: it is tried again, and only the deadline says that it never will.
    waiting = [f"{each['name']} {_state(each)}" for each in ours if _is_pending(each)]
    if waiting:
        raise NotYet(", ".join(waiting))


def _is_pending(firewall: dict[str, Any]) -> bool:
    return firewall["status"] != "succeeded" or bool(firewall.get("pending_changes"))


def _state(firewall: dict[str, Any]) -> str:
    return "could not be applied yet" if firewall["status"] == "failed" else "pending"


def _console_text(output: Console) -> str:
    reason = f": {output.error}" if output.error else ""
    return f"{reason}\n{output.text.strip()[-2000:]}" if output.text.strip() else reason

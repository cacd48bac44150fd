"""Take resources away in the reverse of the order in which they were made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from harness.core.errors import ApiError, ResourceError
from harness.core.parallel import in_parallel
from harness.core.wait import NotYet, wait_for
from harness.provision.observe import Observed, snapshot
from harness.provision.ready import Deadlines
from harness.target.api import Api, every, optional

BUSY = (403, 409, 412, 422)
LONGEST_PAUSE = 1.0


def remove(api: Api, observed: Observed, deadlines: Deadlines) -> None:
    """Remove what is in ``observed``, and wait until each is gone; what a guest is bound to stays.

    Droplets and databases go first, and firewalls only after them, so that nothing is ever uncovered.
    Raises ``WaitTimeoutError`` or ``ResourceError`` for what would not go.
    """
    remove_machines(api, observed, deadlines)
    remove_rest(api, observed, deadlines)


def remove_machines(api: Api, observed: Observed, deadlines: Deadlines) -> None:
    """Remove droplets and databases, and the key, which no machine needs once it is there."""
    client = api.client
    in_parallel(
        [
            *(
                partial(_machine, "droplet", each, client.droplets, deadlines)
                for each in (*observed.droplets, *observed.outsiders)
            ),
            *(partial(_machine, "database", each, _Clusters(api), deadlines) for each in observed.databases),
            *(
                partial(_settled, "ssh key", each, client.ssh_keys.delete, deadlines)
                for each in observed.keys
            ),
        ],
        workers=12,
    )


def remove_rest(api: Api, observed: Observed, deadlines: Deadlines) -> None:
    """Remove what is left once no machine is there. Where a guest stays, so do the tags: they say whose."""
    client, held = api.client, observed.held
    in_parallel(
        [
            *(
                partial(_settled, "firewall", each, client.firewalls.delete, deadlines)
                for each in observed.firewalls
                if each["id"] not in held
            ),
            *(partial(_vpc, api, each, deadlines) for each in observed.vpcs if each["id"] not in held),
        ]
    )
    if not held:
        in_parallel([partial(optional, client.tags.delete, tag) for tag in observed.tags])


def remove_new(api: Api, run: str, before: Observed, deadlines: Deadlines) -> None:
    """Remove everything of ``run`` that was not there ``before``."""
    remove(api, difference(snapshot(api, run), before), deadlines)


def difference(now: Observed, before: Observed) -> Observed:
    """What is ``now`` and was not ``before``."""
    return Observed(
        tags=tuple(tag for tag in now.tags if tag not in before.tags),
        vpcs=_without(now.vpcs, before.vpcs),
        keys=_without(now.keys, before.keys),
        firewalls=_without(now.firewalls, before.firewalls),
        droplets=_without(now.droplets, before.droplets),
        databases=_without(now.databases, before.databases),
        outsiders=_without(now.outsiders, before.outsiders),
        guests=now.guests,
    )


class _Clusters:
    """pydo's database operations by the names that droplets have."""

    def __init__(self, api: Api) -> None:
        self.destroy = api.client.databases.destroy_cluster
        self.get = api.client.databases.get_cluster


def _machine(kind: str, body: dict[str, Any], operations: Any, deadlines: Deadlines) -> None:
    _settled(kind, body, operations.destroy, deadlines)

    def probe() -> None:
        observed = optional(operations.get, body["id"])
        if observed is not None:
            raise NotYet(str(observed.get(kind, {}).get("status", "there")))

    wait_for(f"{kind} {body['name']} to be gone", probe, deadline=deadlines.removal, max_pause=LONGEST_PAUSE)


def _vpc(api: Api, body: dict[str, Any], deadlines: Deadlines) -> None:
    """Delete a VPC; while the API says that it has members, those are named."""
    if body.get("default"):
        raise ResourceError(
            "vpc", body["name"], "is the default of its region, and such a one cannot be deleted"
        )

    def delete(vpc_id: str) -> None:
        try:
            api.client.vpcs.delete(vpc_id)
        except ApiError as error:
            message = _with_members(api, vpc_id, error)
            raise ApiError(error.request, error.status, error.id, message) from error

    _settled("vpc", body, delete, deadlines)


def _with_members(api: Api, vpc_id: str, error: ApiError) -> str:
    if error.status not in BUSY:
        return error.message
    listing = partial(every, api.client.vpcs.list_members, "members", vpc_id=vpc_id)
    listed = ", ".join(f"{each['name']} ({each['urn']})" for each in optional(listing) or ())
    return f"{error.message}: {listed}" if listed else error.message


def _settled(kind: str, body: dict[str, Any], delete: Callable[..., Any], deadlines: Deadlines) -> None:
    """Delete, again and again while the API says that it is in use; gone already is fine."""

    def probe() -> None:
        try:
            optional(delete, body["id"])
        except ApiError as error:
            if error.status in BUSY:
                raise NotYet(str(error)) from error
            raise ResourceError(kind, body["name"], f"delete: {error}") from error

    wait_for(
        f"{kind} {body['name']} to be deletable", probe, deadline=deadlines.removal, max_pause=LONGEST_PAUSE
    )


def _without(now: Iterable[dict[str, Any]], before: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    known = {each["id"] for each in before}
    return tuple(each for each in now if each["id"] not in known)

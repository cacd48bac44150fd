"""Droplets: made, found, removed.

If a droplet does not boot, its ``create`` action is ``errored`` and the droplet is ``off`` and unlocked: it
can be powered on again, rebuilt or destroyed; ``error`` holds the plane's reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from emulator.cloud import actions, tags, vpcs
from emulator.cloud.addresses import free_private, free_public
from emulator.cloud.catalogue import REGIONS, SIZES, Image, find_image
from emulator.cloud.clock import now
from emulator.cloud.errors import NotFoundError, UnprocessableError
from emulator.cloud.jobs import job
from emulator.cloud.keys import get as get_key
from emulator.cloud.machines import droplet_spec
from emulator.cloud.models import Action, Assignment, Droplet, Firewall, Job, LinkQuality, Vpc

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

FIRST_ID = 510_000_001
NAME = re.compile(r"(?=.{1,255}$)[a-zA-Z0-9]?[a-z0-9A-Z.\-]*[a-z0-9A-Z]")
MOST_AT_ONCE = 10
MOST_USER_DATA = 64 * 1024
GONE = "The resource you were accessing could not be found."  # of droplets only


@dataclass(frozen=True)
class CreateRequest:
    """A request for new droplets. ``ssh_keys`` are ids or fingerprints; ``vpc_id`` empty: the default.

    ``region`` may be the beginning of slugs (``nyc``), or empty: any.
    """

    names: Sequence[str]
    region: str
    size: str
    image: str
    ssh_keys: Sequence[str] = ()
    tags: Sequence[str] = ()
    user_data: str = ""
    vpc_id: str = ""
    public: bool = True
    monitoring: bool = False


def create(cloud: Cloud, request: CreateRequest) -> list[tuple[Droplet, Action]]:
    """Make droplets, ``new`` until they have booted; each with its ``create`` action."""
    image = _check(request)
    with cloud.store.transaction():
        request = replace(request, region=_region(cloud, request))
        keys = _public_keys(cloud, request.ssh_keys)
        vpc = vpcs.in_region(cloud, request.vpc_id, request.region)
        if len(listed(cloud)) + len(request.names) > cloud.limits.droplets:
            raise UnprocessableError("creating this/these droplet(s) will exceed your droplet limit")
        named = tags.ensure(cloud, request.tags)
        made = []
        for name in request.names:
            used = vpcs.used_addresses(cloud)
            droplet = cloud.store.put(
                Droplet(
                    id=cloud.store.next_number("droplet", FIRST_ID),
                    name=name,
                    region=request.region,
                    size=request.size,
                    image=image.slug,
                    vpc_id=vpc.id,
                    public_ip=free_public(used) if request.public else "",
                    private_ip=free_private(vpc.ip_range, used),
                    ssh_keys=keys,
                    user_data=request.user_data,
                    tags=named,
                    features=_features(request),
                    disk_gb=SIZES[request.size].disk,
                    created_at=now(),
                )
            )
            action = actions.begin(cloud, droplet, "create")
            cloud.jobs.submit("droplet.create", droplet.ref, action.id)
            made.append((droplet, action))
        cloud.network.changed()
    return made


def get(cloud: Cloud, droplet_id: str | int) -> Droplet:
    """One droplet. Raises ``NotFoundError``."""
    droplet = cloud.store.get(Droplet, droplet_id)
    if droplet is None or droplet.deleted:
        raise NotFoundError(GONE)
    return droplet


def listed(cloud: Cloud, *, tag: str = "", name: str = "") -> list[Droplet]:
    """All droplets, or those that carry a tag, or those of a name."""
    return [
        droplet
        for droplet in cloud.store.all(Droplet)
        if not droplet.deleted
        and (not tag or tags.carries(droplet.tags, tag))
        and (not name or droplet.name.lower() == name.lower())
    ]


def delete(cloud: Cloud, droplet_id: str | int) -> None:
    """Destroy a droplet: gone for clients at once, from the plane as soon as it can be."""
    with cloud.store.transaction():
        _delete(cloud, get(cloud, droplet_id))


def delete_tagged(cloud: Cloud, tag: str) -> None:
    """Destroy every droplet that carries a tag."""
    with cloud.store.transaction():
        tags.get(cloud, tag)
        for droplet in listed(cloud, tag=tag):
            _delete(cloud, droplet)


def put_if_there(cloud: Cloud, droplet_id: int, **changes: object) -> None:
    """Change a droplet's record, unless it was destroyed meanwhile."""
    droplet = cloud.store.get(Droplet, droplet_id)
    if droplet is not None and not droplet.deleted:
        cloud.store.put(droplet.model_copy(update=changes))


def droplet_id_of(job_: Job) -> int:
    """The droplet a job is about."""
    return int(job_.ref.partition(":")[2])


def _delete(cloud: Cloud, droplet: Droplet) -> None:
    cloud.store.put(droplet.model_copy(update={"deleted": True, "locked": True}))
    for action in actions.newest_first(cloud, droplet.id):
        actions.end(cloud, action.id, "the droplet was destroyed")
    for firewall in cloud.store.all(Firewall):
        cloud.store.put(tags.forget(firewall, droplet_id=droplet.id))
    assignment = cloud.store.get(Assignment, f"do:droplet:{droplet.id}")
    if assignment is not None:
        cloud.store.delete(assignment)
    quality = cloud.store.get(LinkQuality, droplet.id)
    if quality is not None:
        cloud.store.delete(quality)
    cloud.jobs.submit("droplet.destroy", droplet.ref)
    cloud.network.changed()


def _booted(cloud: Cloud, job_: Job, error: str) -> None:
    status = "off" if error else "active"
    put_if_there(cloud, droplet_id_of(job_), status=status, locked=False, error=error)
    actions.end(cloud, job_.action_id, error)


@job("droplet.create", settle=_booted)
def _boot(cloud: Cloud, job_: Job) -> None:
    droplet = cloud.store.get(Droplet, droplet_id_of(job_))
    if droplet is not None and not droplet.deleted:
        cloud.plane.create_droplet(droplet_spec(cloud, droplet), cloud.network.policy())


def _removed(cloud: Cloud, job_: Job, error: str) -> None:
    droplet = cloud.store.get(Droplet, droplet_id_of(job_))
    if droplet is None:
        return
    if error:
        cloud.store.put(droplet.model_copy(update={"error": f"not removed yet: {error}"}))
        cloud.jobs.retry(job_)
        return
    cloud.store.delete(droplet)


@job("droplet.destroy", settle=_removed, interrupts=True)
def _remove(cloud: Cloud, job_: Job) -> None:
    cloud.plane.destroy_droplet(droplet_id_of(job_))


def _check(request: CreateRequest) -> Image:
    if not request.names:
        raise UnprocessableError("Name is required")
    if len(request.names) > MOST_AT_ONCE:
        raise UnprocessableError(f"You can only create {MOST_AT_ONCE} droplets at a time")
    if not all(NAME.fullmatch(name) for name in request.names):
        raise UnprocessableError("Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
    if request.size not in SIZES:
        raise UnprocessableError("You specified an invalid size for Droplet creation.")
    if len(request.user_data.encode()) > MOST_USER_DATA:
        raise UnprocessableError("User data must be less than 64KB in size")
    try:
        return find_image(request.image)
    except NotFoundError as error:
        raise UnprocessableError("You specified an invalid image for Droplet creation.") from error


def _region(cloud: Cloud, request: CreateRequest) -> str:
    """The region asked for. ``nyc`` means any of that place, nothing means any: the VPC's, where it fits."""
    found = [
        slug
        for slug, region in REGIONS.items()
        if region.available and request.region in ("", slug, slug.rstrip("0123456789"))
    ]
    if not found:
        raise UnprocessableError("You specified an invalid region for Droplet creation.")
    vpc = cloud.store.get(Vpc, request.vpc_id) if request.vpc_id else None
    return vpc.region if vpc is not None and vpc.region in found else found[0]


def _public_keys(cloud: Cloud, identifiers: Sequence[str]) -> tuple[str, ...]:
    keys, unknown = [], []
    for identifier in identifiers:
        try:
            keys.append(get_key(cloud, identifier).public_key)
        except NotFoundError:
            unknown.append(identifier)
    if unknown:
        raise UnprocessableError(f"{', '.join(unknown)} are invalid key identifiers for Droplet creation.")
    return tuple(dict.fromkeys(keys))


def _features(request: CreateRequest) -> tuple[str, ...]:
    features = ["droplet_agent", "private_networking"]
    return tuple(["monitoring", *features] if request.monitoring else features)

"""What can be done to a droplet that exists: power, name, size, disk.

One at a time: while an action is in progress the next is refused, as on DigitalOcean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from emulator.cloud import actions, tags
from emulator.cloud.catalogue import SIZES, find_image
from emulator.cloud.droplets import NAME, droplet_id_of, get, listed, put_if_there
from emulator.cloud.errors import BadRequestError, NotFoundError, NotOfferedError, UnprocessableError
from emulator.cloud.jobs import job
from emulator.cloud.machines import droplet_spec
from emulator.cloud.models import Action, Droplet, Job

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

ELSEWHERE = (
    "enable_backups",
    "disable_backups",
    "change_backup_policy",
    "restore",
    "password_reset",
    "change_kernel",
    "enable_ipv6",
    "snapshot",
)
BY_TAG = ("power_cycle", "power_on", "power_off", "shutdown")
Arguments = Mapping[str, Any]


def post(cloud: Cloud, droplet_id: str | int, type_: str, arguments: Arguments) -> Action:
    """Begin an action.

    ``arguments``: ``name`` for a rename, ``size`` and ``disk`` for a resize, ``image`` for a rebuild.
    """
    with cloud.store.transaction():
        droplet = get(cloud, droplet_id)
        if type_ in ELSEWHERE:
            raise NotOfferedError(f"the droplet action {type_}")
        if type_ not in CHECKS:
            raise UnprocessableError(f"{type_!r} is not a valid action type")
        if any(action.status == "in-progress" for action in actions.newest_first(cloud, droplet.id)):
            raise UnprocessableError("Droplet already has a pending event.")
        checked = CHECKS[type_](droplet, arguments)
        action = actions.begin(cloud, droplet, type_)
        cloud.store.put(droplet.model_copy(update={"locked": True}))
        cloud.jobs.submit(f"droplet.{type_}", droplet.ref, action.id, **checked)
        return action


def _anytime(_droplet: Droplet, _arguments: Arguments) -> dict[str, Any]:
    return {}


def _while_on(droplet: Droplet, _arguments: Arguments) -> dict[str, Any]:
    if droplet.status != "active":
        raise UnprocessableError("Droplet is currently powered off. Please power it on to run this event.")
    return {}


def _while_off(droplet: Droplet, _arguments: Arguments) -> dict[str, Any]:
    if droplet.status != "off":
        raise UnprocessableError("Droplet is already powered on.")
    return {}


def _rename(_droplet: Droplet, arguments: Arguments) -> dict[str, Any]:
    name = arguments.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UnprocessableError("Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
    return {"name": name}


def _resize(droplet: Droplet, arguments: Arguments) -> dict[str, Any]:
    size = SIZES.get(str(arguments.get("size")))
    if size is None:
        raise UnprocessableError("You specified an invalid size for Droplet resize.")
    if droplet.status != "off":
        raise UnprocessableError("Droplet must be powered off before it can be resized.")
    if size.disk < droplet.disk_gb:
        raise UnprocessableError("This size is not available because it has a smaller disk.")
    return {"size": size.slug, "disk": arguments.get("disk") is True}


def _rebuild(droplet: Droplet, arguments: Arguments) -> dict[str, Any]:
    try:
        return {"image": find_image(arguments.get("image") or droplet.image).slug}
    except NotFoundError as error:
        raise UnprocessableError("You specified an invalid image for Droplet rebuild.") from error


CHECKS: Mapping[str, Callable[[Droplet, Arguments], dict[str, Any]]] = {
    "power_on": _while_off,
    "power_off": _while_on,
    "shutdown": _while_on,
    "reboot": _while_on,
    "power_cycle": _anytime,
    "rename": _rename,
    "resize": _resize,
    "rebuild": _rebuild,
}


def post_tagged(cloud: Cloud, tag: str, type_: str, arguments: Arguments) -> list[Action]:
    """Begin an action on every droplet that carries a tag."""
    if type_ in ELSEWHERE:
        raise NotOfferedError(f"the droplet action {type_}")
    if type_ not in BY_TAG:
        raise BadRequestError(f"{type_!r} is not an action that can be run by tag")
    with cloud.store.transaction():
        tags.get(cloud, tag)
        return [post(cloud, droplet.id, type_, arguments) for droplet in listed(cloud, tag=tag)]


def _ended(cloud: Cloud, job_: Job, error: str, **changes: object) -> None:
    put_if_there(cloud, droplet_id_of(job_), locked=False, error=error, **changes)
    actions.end(cloud, job_.action_id, error)


def _ended_on(cloud: Cloud, job_: Job, error: str) -> None:
    _ended(cloud, job_, error, status="off" if error else "active")


def _ended_off(cloud: Cloud, job_: Job, error: str) -> None:
    _ended(cloud, job_, error, **({} if error else {"status": "off"}))


def _there(cloud: Cloud, job_: Job) -> Droplet | None:
    droplet = cloud.store.get(Droplet, droplet_id_of(job_))
    return None if droplet is None or droplet.deleted else droplet


@job("droplet.power_on", settle=_ended_on)
def _power_on(cloud: Cloud, job_: Job) -> None:
    if droplet := _there(cloud, job_):
        cloud.plane.power_on(droplet_spec(cloud, droplet), cloud.network.policy())


@job("droplet.power_off", settle=_ended_off)
def _power_off(cloud: Cloud, job_: Job) -> None:
    cloud.plane.power_off(droplet_id_of(job_))


@job("droplet.shutdown", settle=_ended_off)
def _shutdown(cloud: Cloud, job_: Job) -> None:
    cloud.plane.shutdown(droplet_id_of(job_))


@job("droplet.reboot", settle=_ended_on)
def _reboot(cloud: Cloud, job_: Job) -> None:
    _shutdown(cloud, job_)
    _power_on(cloud, job_)


@job("droplet.power_cycle", settle=_ended_on)
def _power_cycle(cloud: Cloud, job_: Job) -> None:
    _power_off(cloud, job_)
    _power_on(cloud, job_)


def _ended_rename(cloud: Cloud, job_: Job, error: str) -> None:
    _ended(cloud, job_, error, **({} if error else {"name": job_.arguments["name"]}))


@job("droplet.rename", settle=_ended_rename)
def _do_rename(cloud: Cloud, job_: Job) -> None:
    if droplet := _there(cloud, job_):
        renamed = droplet.model_copy(update={"name": job_.arguments["name"]})
        cloud.plane.rename_droplet(droplet_spec(cloud, renamed))


def _ended_resize(cloud: Cloud, job_: Job, error: str) -> None:
    size, droplet = SIZES[job_.arguments["size"]], _there(cloud, job_)
    disk = size.disk if job_.arguments["disk"] or droplet is None else droplet.disk_gb
    _ended(cloud, job_, error, **({} if error else {"size": size.slug, "disk_gb": disk}))


@job("droplet.resize", settle=_ended_resize)
def _do_resize(_cloud: Cloud, _job: Job) -> None:
    """Nothing runs meanwhile: the new size is in the specification of the next power on."""


def _ended_rebuild(cloud: Cloud, job_: Job, error: str) -> None:
    changes = {"status": "off"} if error else {"status": "active", "image": job_.arguments["image"]}
    _ended(cloud, job_, error, **changes)


@job("droplet.rebuild", settle=_ended_rebuild)
def _do_rebuild(cloud: Cloud, job_: Job) -> None:
    if droplet := _there(cloud, job_):
        rebuilt = droplet.model_copy(update={"image": job_.arguments["image"]})
        cloud.plane.rebuild_droplet(droplet_spec(cloud, rebuilt), cloud.network.policy())

"""What a droplet's links do to packets on their way to it. Nothing a cloud has.

It stays until it is changed: over power cycles, rebuilds and restarts of the server. A droplet that is
destroyed takes it along.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from emulator.cloud.droplets import get
from emulator.cloud.errors import ConflictError, NotPossibleError, UnprocessableError
from emulator.cloud.machines import droplet_spec, quality_of
from emulator.cloud.models import Droplet, LinkQuality
from emulator.planes.base import PERFECT, Quality

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

MOST_DELAY_MS, MOST_LOSS_PERCENT = 10_000.0, 100.0


def imperfect(cloud: Cloud) -> dict[int, Quality]:
    """The droplets whose links are set to be worse than perfect, by id."""
    ids = [record.droplet_id for record in cloud.store.all(LinkQuality)]
    return {id_: quality(cloud, str(id_)) for id_ in ids}


def quality(cloud: Cloud, droplet_id: str) -> Quality:
    """The quality that a droplet's links are set to. Raises ``NotFoundError``."""
    return quality_of(cloud, get(cloud, droplet_id))


def shape(cloud: Cloud, droplet_id: str, wanted: Quality) -> None:
    """Give a droplet's links a quality: at once, or with its power where it has none.

    Raises ``NotPossibleError`` where the plane cannot, ``ConflictError`` while an action is in progress.
    """
    _check(wanted)
    if wanted != PERFECT and (refusal := cloud.plane.shape_refusal()):
        raise NotPossibleError(refusal)
    with cloud.store.transaction():
        droplet = get(cloud, droplet_id)
        if droplet.locked:
            raise ConflictError("the droplet has a pending event; its links can be shaped once that is over")
        _record(cloud, droplet, wanted)
        cloud.plane.shape(droplet_spec(cloud, droplet))


def _record(cloud: Cloud, droplet: Droplet, wanted: Quality) -> None:
    record = LinkQuality(droplet_id=droplet.id, **asdict(wanted))
    if wanted == PERFECT:
        cloud.store.delete(record)
    else:
        cloud.store.put(record)


def _check(wanted: Quality) -> None:
    if not 0 <= wanted.delay_ms <= MOST_DELAY_MS:
        raise UnprocessableError(f"delay_ms must be from 0 to {MOST_DELAY_MS:.0f}")
    if not 0 <= wanted.jitter_ms <= wanted.delay_ms:
        raise UnprocessableError("jitter_ms must be from 0 to delay_ms")
    if not 0 <= wanted.loss_percent <= MOST_LOSS_PERCENT:
        raise UnprocessableError(f"loss_percent must be from 0 to {MOST_LOSS_PERCENT:.0f}")

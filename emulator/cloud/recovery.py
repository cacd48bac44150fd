"""After a start: what the plane has and what the records say are brought together."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from emulator.cloud.machines import droplet_spec
from emulator.cloud.models import Database, Droplet, Job

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

log = logging.getLogger(__name__)


def recover(cloud: Cloud) -> None:
    """Make records and machines agree.

    A machine without a record is removed. A droplet that should run and does not (the engine was restarted)
    is started again; one whose machine is gone is ``off``, with the reason in ``error`` (a cluster, for which
    there is no such status, ``creating``). Machines that recorded work is about are left to that work. Links
    get their quality again, for whoever set it last may have ended before it was recorded. Raises
    ``PlaneError``.
    """
    machines = cloud.plane.existing().machines
    pending = {job.ref for job in cloud.store.all(Job)}
    with cloud.store.transaction():
        known = set()
        for droplet in cloud.store.all(Droplet):
            known.add(droplet.ref)
            if droplet.ref not in pending and droplet.status == "active":
                _restart(cloud, droplet, machines.get(droplet.ref, ""))
        for database in cloud.store.all(Database):
            known.add(database.ref)
            state = machines.get(database.ref)
            if database.ref not in pending and (database.status == "online" or state == "stopped"):
                _restart_database(cloud, database, state or "")
    for ref in machines.keys() - known:
        _remove_stray(cloud, ref)


def _restart(cloud: Cloud, droplet: Droplet, state: str) -> None:
    if state == "running" and not cloud.plane.shape_refusal():
        cloud.plane.shape(droplet_spec(cloud, droplet))
    elif state == "stopped":
        log.warning("%s is stopped; starting it", droplet.ref)
        cloud.jobs.submit_later("droplet.power_on", droplet.ref)
    elif not state:
        log.error("%s is gone", droplet.ref)
        gone = {
            "status": "off",
            "error": "the machine is gone from the engine; rebuild or destroy the droplet",
        }
        cloud.store.put(droplet.model_copy(update=gone))


def _restart_database(cloud: Cloud, database: Database, state: str) -> None:
    if state == "stopped":
        log.warning("%s is stopped; starting it", database.ref)
        cloud.jobs.submit_later("database.create", database.ref)
    elif not state:
        log.error("%s is gone", database.ref)
        gone = {"status": "creating", "error": "the cluster is gone from the engine; destroy it"}
        cloud.store.put(database.model_copy(update=gone))


def _remove_stray(cloud: Cloud, ref: str) -> None:
    log.warning("%s has no record; removing it", ref)
    kind, _, id_ = ref.partition(":")
    if kind == "droplet":
        cloud.plane.destroy_droplet(int(id_))
    elif kind == "database":
        cloud.plane.destroy_database(id_)

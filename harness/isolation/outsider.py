"""An outsider in the VPC: a droplet that no rule and no trusted source names, for as long as a scan lasts.

It shows what an intruder on the same network would reach. It carries a tag of its own instead of the run's,
so no firewall that covers the run covers it; ``up``, ``down`` and ``sweep`` know that tag, and remove what a
killed scan has left behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from harness.core.errors import ResourceError
from harness.core.names import STRANGER, node_tag
from harness.core.wait import NotYet, wait_for
from harness.provision.observe import Observed, as_node, snapshot
from harness.provision.ready import Deadlines, longest_pause
from harness.provision.remove import remove
from harness.target.api import Api
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

SIZE = "s-1vcpu-1gb"


@contextmanager
def outsider(
    target: Target, topology: Topology, deployment: Deployment, *, deadlines: Deadlines | None = None
) -> Iterator[Deployment]:
    """The deployment with a node ``stranger`` in it, for the length of the block.

    It can be logged in to at its public address, with the run's key. Raises ``ResourceError``, ``ApiError``
    or ``WaitTimeoutError``; whatever happens, the droplet is removed again.
    """
    limits = deadlines or Deadlines()
    with Api(target) as api:
        try:
            droplet = _make(api, target, topology, deployment, limits)
            node = as_node(droplet, deployment.run)
            yield replace(deployment, nodes={**deployment.nodes, STRANGER: node})
        finally:
            remove_outsiders(api, deployment.run, limits)


def remove_outsiders(api: Api, run: str, deadlines: Deadlines) -> None:
    """Remove the run's outsiders and their tag, and wait until they are gone."""
    observed = snapshot(api, run)
    tag = node_tag(run, STRANGER)
    remove(
        api, Observed(outsiders=observed.outsiders, tags=(tag,) if tag in observed.tags else ()), deadlines
    )


def _make(
    api: Api, target: Target, topology: Topology, deployment: Deployment, deadlines: Deadlines
) -> dict[str, Any]:
    key = snapshot(api, deployment.run).key
    body = {
        "name": f"{STRANGER}-of-{deployment.run}",
        "region": topology.region,
        "size": SIZE,
        "image": next(iter(topology.droplets.values())).image,
        "vpc_uuid": deployment.vpc_id,
        "ssh_keys": [key["id"]] if key else [],
        "tags": [node_tag(deployment.run, STRANGER)],
        "public_networking": True,
    }
    made: dict[str, Any] = api.client.droplets.create(body=body)["droplet"]

    def probe() -> dict[str, Any]:
        now: dict[str, Any] = api.client.droplets.get(made["id"])["droplet"]
        if now["status"] == "active" and as_node(now, deployment.run).private_ip:
            return now
        newest = max(api.client.droplet_actions.list(made["id"]).get("actions") or (), key=_id, default=None)
        if newest is not None and newest["status"] == "errored":
            raise ResourceError("droplet", str(made["name"]), f"action {newest['type']} errored")
        raise NotYet(str(now["status"]))

    return wait_for(
        "the outsider to be active", probe, deadline=deadlines.droplets, max_pause=longest_pause(target)
    )


def _id(action: dict[str, Any]) -> int:
    return int(action["id"])

"""The end of a deployment's first phase: first boot could fetch things, the finished droplets cannot."""

from __future__ import annotations

from harness.core.names import resource_name
from harness.provision.desired import BOOTSTRAP
from harness.provision.observe import snapshot
from harness.target.api import Api, optional
from harness.target.target import Target


def lock_down(target: Target, run: str) -> bool:
    """Remove the bootstrap firewall, so that the topology alone rules; returns whether it was there."""
    name = resource_name(run, BOOTSTRAP)
    with Api(target) as api:
        found = [each for each in snapshot(api, run).firewalls if each["name"] == name]
        for firewall in found:
            optional(api.client.firewalls.delete, firewall["id"])
    return bool(found)

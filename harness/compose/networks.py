"""What a compose project loses with its networks: a node has only the default one."""

from __future__ import annotations

from collections.abc import Iterator

from harness.compose.model import ComposeProject

ADDRESSES = ("ipv4_address", "ipv6_address", "mac_address")


def lost(project: ComposeProject) -> Iterator[str]:
    """A sentence for each name, address and wall that is gone, with its place and what to do instead."""
    declared = project.document.get("networks", {})
    for service, body in project.running().items():
        known = {service, body.get("container_name")}
        for network, given in (body.get("networks") or {}).items():
            options, place = given or {}, f"services.{service}.networks.{network}"
            for alias in options.get("aliases", ()):
                if alias not in known:
                    what = f"the name {alias} leads nowhere without its network"
                    yield f"{place}.aliases: {what}; services reach it as {service}"
            for key in ADDRESSES:
                if options.get(key):
                    what = f"it has not the address {options[key]} without its network"
                    yield f"{place}.{key}: {what}; services reach it as {service}"
            if declared.get(network, {}).get("internal"):
                what = "`internal: true` shut it off from outside, and the default network does not"
                yield f"{place}: {what}; the droplet's firewall says what may leave it"

"""Links between machines and the fabric: veths, addresses, routes. Runs in the fabric's namespace.

A link is a mapping: ``name`` (the fabric's end), ``device`` (the machine's end: eth0 or eth1), ``mac``,
``ip``, ``prefix``, ``gateway``, ``network`` (the VPC's range, or empty for public) and ``default`` (whether
the machine's default route goes there).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wt_fabric import netem
from wt_fabric.command import FabricError, ip_batch, run

Link = Mapping[str, Any]


def wire(pid: int, container: str, links: Sequence[Link], quality: netem.Quality) -> None:
    """Connect a machine, whose first process is ``pid``. Anything of that name is replaced.

    No packet passes a link before it has its ``quality`` (see ``netem``).
    """
    _check_identity(pid, container)
    unwire([link["name"] for link in links], ())
    ip_batch([line for link in links for line in _outside(pid, link)])
    for link in links:
        disable_proxy_delay(link["name"])
    if any(quality.values()):  # new links are perfect
        netem.shape([link["name"] for link in links], quality)
    inside = ("nsenter", f"--net=/proc/{pid}/ns/net")
    ip_batch([line for link in links for line in _inside(link)], inside=inside)


def disable_proxy_delay(name: str) -> None:
    """Answer ARP for others without the pause of up to 0.8 s that is each new interface's default."""
    Path(f"/proc/sys/net/ipv4/neigh/{name}/proxy_delay").write_text("0")


def _check_identity(pid: int, container: str) -> None:
    """Numbers are reused: make sure that the process belongs to the machine that is meant."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError as error:
        raise FabricError(f"process {pid} is gone: the machine stopped while being wired") from error
    if container not in groups and "0::/" not in groups:
        raise FabricError(f"process {pid} is not of container {container[:12]}: it stopped while being wired")


def _outside(pid: int, link: Link) -> list[str]:
    name, ip, network = link["name"], link["ip"], link["network"]
    vpc = (
        [f"route replace blackhole {network}", f"address replace {link['gateway']}/32 dev lo"]
        if network
        else []
    )
    return [
        *vpc,
        f"link add {name} type veth peer name {link['device']} address {link['mac']} netns {pid}",
        f"link set {name} up",
        # A permanent neighbour: no ARP towards guests, so nothing a guest sends can move an address.
        f"neighbour replace {ip} lladdr {link['mac']} dev {name} nud permanent",
        f"route replace {ip}/32 dev {name} src {link['gateway']}",
    ]


def _inside(link: Link) -> list[str]:
    device = link["device"]
    default = [f"route replace default via {link['gateway']} dev {device}"] if link["default"] else []
    return [
        f"address replace {link['ip']}/{link['prefix']} broadcast + dev {device}",
        f"link set {device} up",
        *default,
    ]


def unwire(names: Iterable[str], ips: Iterable[str]) -> None:
    """Remove links that exist, and forget the connections of addresses that are gone."""
    there = set(links())
    gone = [name for name in names if name in there]
    with contextlib.suppress(FabricError):  # the kernel removes a link by itself when its machine stops
        if gone:
            ip_batch([f"link del {name}" for name in gone])
    for ip in ips:
        for side in ("--src", "--dst"):
            with contextlib.suppress(FabricError):  # conntrack fails when there was nothing to delete
                run("conntrack", "--delete", side, ip)


def links() -> list[str]:
    """Names of the machines' links that are there."""
    listed = json.loads(run("ip", "-json", "link", "show", "type", "veth") or "[]")
    return [link["ifname"] for link in listed if link["ifname"] != "edge0"]

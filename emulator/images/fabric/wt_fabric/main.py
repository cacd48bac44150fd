"""PID 1 of the fabric container: build the network, prove that it filters, keep its services running.

Two network namespaces: the container's own is the *edge*, where the outside world's addresses live and the
SOCKS servers listen; *fabric* routes between machines and the edge. The fabric has no interface to Docker's
bridge and the edge neither forwards nor has a default route, so nothing can leave.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wt_fabric.command import FABRIC, READY, RUN, FabricError, ip_batch, run
from wt_fabric.selftest import beside

LISTENS = "0A"  # the state of a socket in /proc/net/tcp
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES = 2048
INSIDE = ("nsenter", f"--net=/run/netns/{FABRIC}")
SETTINGS = {
    "ipv6/conf/all/disable_ipv6": 1,
    "ipv6/conf/default/disable_ipv6": 1,
    "ipv4/ip_forward": 1,
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/default/rp_filter": 0,
    "ipv4/conf/all/send_redirects": 0,
    "ipv4/conf/default/send_redirects": 0,
    "ipv4/conf/default/proxy_arp": 1,
}
CLOSED = """
table inet wavetank {
    chain forward { type filter hook forward priority filter; policy drop; }
}
"""


def main() -> None:
    """Set up and serve until a service ends or someone says stop."""
    layout = json.loads(os.environ["WT_LAYOUT"])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with beside():
            build(layout)
            children = services(layout)
            await_services(layout, children)
    except (FabricError, OSError) as error:
        sys.exit(f"wavetank fabric: {error}")
    READY.touch()
    print("wavetank fabric: ready", flush=True)
    pid, status = os.wait()
    ended = next((name for name, child in children.items() if child.pid == pid), str(pid))
    sys.exit(f"wavetank fabric: {ended} ended with status {os.waitstatus_to_exitcode(status)}")


def build(layout: dict[str, Any]) -> None:
    """Make both namespaces and the link between them, shut."""
    for directory in ("hosts", "metadata"):
        (RUN / directory).mkdir(parents=True, exist_ok=True)
    make_room()
    edge_address, edge_gateway = leave_default_route()
    (RUN / "edge").write_text(edge_address)
    run("ip", "netns", "add", FABRIC)
    run("nft", "-f", "-", stdin=edge_rules(layout, edge_gateway))
    run(*INSIDE, "nft", "-f", "-", stdin=CLOSED)
    (RUN / "ruleset.nft").write_text(CLOSED)
    run(*INSIDE, "sh", "-ec", fabric_settings())
    sysctl("net.ipv4.ip_forward", "0")
    sysctl("net.ipv4.conf.all.rp_filter", "0")
    sysctl("net.ipv4.conf.default.rp_filter", "0")
    ip_batch(
        [
            f"link add fabric0 type veth peer name edge0 netns {FABRIC}",
            *(f"address add {layout[who]}/32 dev fabric0" for who in ("operator", "internet")),
            "link set fabric0 up",
            f"route add {layout['public']} via {layout['gateway']} dev fabric0 onlink"
            f" src {layout['operator']}",
        ]
    )
    local = (layout["gateway"], layout["resolver"], layout["metadata"])
    ip_batch(
        [
            "link set lo up",
            *(f"address add {address}/32 dev lo" for address in local),
            "link set edge0 up",
            *(f"route add {network} dev edge0" for network in layout["outside"]),
            f"route add blackhole {layout['public']}",
        ],
        inside=INSIDE,
    )
    run(*INSIDE, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/neigh/edge0/proxy_delay")


def make_room() -> None:
    """Let the machine run many systemds: each takes 6 inotify instances, and the usual limit is 128 for all.

    The one setting of the machine itself that is changed, and only ever upwards; it lasts until reboot.
    """
    try:
        if int(INOTIFY.read_text()) < INOTIFY_INSTANCES:
            INOTIFY.write_text(f"{INOTIFY_INSTANCES}\n")
    except OSError as error:
        print(f"wavetank fabric: {INOTIFY} stays as it is ({error}); 20 droplets at most", flush=True)


def leave_default_route() -> tuple[str, str]:
    """Forget the way out of the container; return its address and the bridge's."""
    routes = json.loads(run("ip", "-json", "route"))
    gateway = next((route["gateway"] for route in routes if route["dst"] == "default"), None)
    if gateway is None:
        raise FabricError("the container has no default route: it must be started on Docker's default bridge")
    run("ip", "route", "del", "default")
    address = next(route["prefsrc"] for route in routes if route.get("dev") == "eth0" and "prefsrc" in route)
    return address, gateway


def edge_rules(layout: dict[str, Any], gateway: str) -> str:
    """Towards Docker's bridge only this machine may connect, and nothing of the tank's may leave."""
    ports = f"{layout['operator_port']}, {layout['internet_port']}"
    return f"""
table inet wavetank_edge {{
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "eth0" ct state established,related accept
        iifname "eth0" ip saddr {gateway} tcp dport {{ {ports} }} accept
        iifname "eth0" drop
    }}
    chain output {{
        type filter hook output priority filter; policy accept;
        oifname "eth0" ct state established,related accept
        oifname "eth0" drop
    }}
}}
"""


def fabric_settings() -> str:
    """Shell that makes a namespace a router which answers ARP for everybody, at once."""
    files = {f"/proc/sys/net/{key}": value for key, value in SETTINGS.items()}
    return "\n".join(f"[ ! -e {file} ] || echo {value} > {file}" for file, value in files.items())


def sysctl(key: str, value: str) -> None:
    """Set a kernel parameter of this namespace."""
    Path("/proc/sys", key.replace(".", "/")).write_text(value)


def services(layout: dict[str, Any]) -> dict[str, subprocess.Popen[bytes]]:
    """Start what answers: names, metadata, and the two ways in from this machine."""
    ways = [str(layout[word]) for word in ("operator_port", "operator", "internet_port", "internet")]
    commands = {
        "dnsmasq": [
            *INSIDE, "dnsmasq", "--keep-in-foreground", "--user=root", "--no-resolv",
            "--no-hosts", "--no-poll",
            "--bind-interfaces", f"--listen-address={layout['resolver']}", f"--addn-hosts={RUN / 'hosts'}",
            *(f"--local=/{domain}/" for domain in layout["domains"]), "--local-ttl=5", "--log-facility=-",
            f"--pid-file={RUN / 'dnsmasq.pid'}",
        ],
        "metadata": [
            *INSIDE, sys.executable, "-m", "wt_fabric.metadata", layout["metadata"], str(RUN / "metadata"),
        ],
        "SOCKS": [sys.executable, "-m", "wt_fabric.socks", (RUN / "edge").read_text(), *ways],
    }  # fmt: skip
    quiet = {"stdin": subprocess.DEVNULL}
    return {name: subprocess.Popen(argv, **quiet) for name, argv in commands.items()}


def await_services(layout: dict[str, Any], children: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Return once every service listens, or after 10 s; one that has ended is noticed by the caller."""
    edge = (RUN / "edge").read_text()
    ports = {(edge, layout["operator_port"]), (edge, layout["internet_port"])}
    wanted = {*ports, (layout["resolver"], 53), (layout["metadata"], 80)}
    for _ in range(2000):
        if wanted <= set().union(*(listening(child.pid) for child in children.values())):
            return
        time.sleep(0.005)


def listening(pid: int) -> set[tuple[str, int]]:
    """Addresses and ports at which somebody listens, in a process's network namespace."""
    try:
        rows = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:  # it has ended
        return set()
    return {address_of(local) for _, local, _, state, *_ in map(str.split, rows) if state == LISTENS}


def address_of(text: str) -> tuple[str, int]:
    """``("127.0.0.1", 80)`` of what /proc/net/tcp has for it, in this machine's byte order."""
    address, port = text.split(":")
    return socket.inet_ntoa(struct.pack("=I", int(address, 16))), int(port, 16)


if __name__ == "__main__":
    main()

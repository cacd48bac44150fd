"""This machine's own network, read and compared: a deployment on it must leave it as it was.

What is read: interfaces with their addresses, routes of all tables, routing rules, packet filters, the
kernel's switches for forwarding, and TCP listeners that others can reach. Reading changes nothing.

The emulator's network lives in one container on the engine's default bridge, with ports published on
loopback. What the engine makes for any such container is left out, and nothing more: the bridge's ports
(veths) and its link-local addresses, and the rules that name an address of a container on it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import Any

from harness.core.documents import read_object
from harness.core.errors import TopologyError
from harness.core.wait import scaled
from harness.run.rundir import RunDir

Fingerprint = Mapping[str, list[str]]

FILE = "hostnet.json"
BRIDGE = "docker0"
SECONDS = 10
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SYSCTL = Path("/proc/sys")
SWITCHES = (
    "net/ipv4/ip_forward",
    *(
        f"net/ipv4/conf/{which}/{name}"
        for which in ("all", "default")
        for name in ("forwarding", "rp_filter", "proxy_arp", "arp_ignore", "route_localnet", "send_redirects")
    ),
    *(
        f"net/ipv6/conf/{which}/{name}"
        for which in ("all", "default")
        for name in ("forwarding", "accept_ra")
    ),
    *(f"net/bridge/bridge-nf-call-{which}" for which in ("iptables", "ip6tables", "arptables")),
    "net/netfilter/nf_conntrack_max",
    "net/ipv4/ip_local_port_range",
)
FILTERS = ("iptables-save", "ip6tables-save")
LISTENING = "0A"  # a socket's state in /proc/net/tcp
LOOPBACK = re.compile(r"^(.{6}7F|0{24}01000000$|0{16}FFFF0000.{6}7F)")
COUNTERS = re.compile(r"\[\d+:\d+\]")
ADDRESS = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})(?=/32|:\d)")


def is_possible() -> bool:
    """Whether this machine's network can be read: Linux with the ``ip`` command."""
    return sys.platform == "linux" and shutil.which("ip") is not None


def read() -> Fingerprint:
    """The network as it is now, in sorted lines by kind, without what this user may not read."""
    links, bridge = _json("ip", "-json", "address"), _bridge_range()
    veths = {each["ifname"] for each in links if each.get("master") == BRIDGE}
    found = {
        "interfaces": list(interfaces(links, veths)),
        "routes": list(routes(_json("ip", "-json", "route", "show", "table", "all"), veths)),
        "routes6": list(routes(_json("ip", "-json", "-6", "route", "show", "table", "all"), veths)),
        "rules": [json.dumps(each, sort_keys=True) for each in _json("ip", "-json", "rule")],
        "switches": list(switches()),
        "listeners": list(listeners()),
        **{name: list(filters(text.splitlines(), bridge)) for name in FILTERS if (text := _output(name))},
        "nft": list(nft_tables(_output("nft", "-s", "list", "ruleset"))),
    }
    return {kind: sorted(set(lines)) for kind, lines in found.items()}


def save(run_dir: RunDir, found: Fingerprint | None) -> None:
    """Save the network as it was before a run, unless that was done since this machine was booted."""
    file, boot = run_dir.path / FILE, BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""
    if found is None or (os.path.lexists(file) and _read(file).get("boot") == boot):
        return
    file.write_text(json.dumps({"boot": boot, "network": found}, indent=2) + "\n")


def saved(run_dir: RunDir) -> Fingerprint | None:
    """The network as it was before the run; None where it was not saved."""
    file = run_dir.path / FILE
    if not os.path.lexists(file):
        return None
    network: Fingerprint = _read(file)["network"]
    return network


def _read(file: Path) -> dict[str, Any]:
    remedy = "remove it: nothing is compared then"
    found = read_object(file, "the saved state of this machine's network", remedy=remedy)
    network = found.get("network")
    if not isinstance(network, dict) or not all(isinstance(each, list) for each in network.values()):
        raise TopologyError("has another form", file=file, field="network", remedy=remedy)
    return found


def changed(run_dir: RunDir) -> str:
    """What of this machine's network is not as it was before the run; empty: nothing, or it was not saved."""
    before = saved(run_dir)
    return "" if before is None else "\n".join(differences(before, read()))


def differences(before: Fingerprint, after: Fingerprint) -> list[str]:
    """Every line that came or went, of the kinds that could be read both times."""
    return [
        f"{kind}: {sign}{line}"
        for kind in sorted(set(before) & set(after))
        for sign, lines in (
            ("-", [each for each in before[kind] if each not in after[kind]]),
            ("+", [each for each in after[kind] if each not in before[kind]]),
        )
        for line in lines
    ]


def interfaces(links: Sequence[Mapping[str, Any]], veths: set[str]) -> Iterator[str]:
    """Each interface with its addresses, but for the bridge's ports and addresses that come and go."""
    for link in links:
        if link["ifname"] in veths:
            continue
        addresses = sorted(
            f"{each['local']}/{each['prefixlen']}"
            for each in link.get("addr_info", ())
            if not (each.get("temporary") or (link["ifname"] == BRIDGE and each.get("scope") == "link"))
        )
        yield " ".join((link["ifname"], str(link.get("mtu", "")), *addresses))


def routes(found: Sequence[Mapping[str, Any]], veths: set[str]) -> Iterator[str]:
    """Each route, without how long it is still good for."""
    for route in found:
        device, destination = route.get("dev", ""), str(route.get("dst", ""))
        link_local = destination.startswith(("fe80:", "ff00:", "multicast"))
        if device in veths or (device == BRIDGE and link_local):
            continue
        names = ("type", "dst", "gateway", "dev", "table", "prefsrc")
        yield " ".join(f"{name} {route[name]}" for name in names if name in route)


def filters(lines: Sequence[str], bridge: IPv4Network | None) -> Iterator[str]:
    """The rules of ``iptables-save``, each with its table, without counters."""
    table = ""
    for line in lines:
        if line.startswith("*"):
            table = line[1:]
        elif line[:1] in (":", "-") and not _is_of_a_container(line, bridge):
            yield f"{table} {COUNTERS.sub('', line).strip()}"


def nft_tables(text: str) -> Iterator[str]:
    """The rules of tables that ``iptables-save`` does not show."""
    table = ""
    for line in text.splitlines():
        if line.startswith("table "):
            table = line.removesuffix("{").strip()
        of_iptables = table.split()[1:2] in (["ip"], ["ip6"]) and table.split()[-1] in (
            "filter", "nat", "raw", "mangle", "security",
        )  # fmt: skip
        if not of_iptables and line.strip():
            yield f"{table}: {line.strip()}"


def switches() -> Iterator[str]:
    """The kernel's switches that decide what is forwarded, and from where it is taken."""
    for name in SWITCHES:
        file = SYSCTL / name
        if file.exists():
            yield f"{name.replace('/', '.')} = {' '.join(file.read_text().split())}"


def listeners() -> Iterator[str]:
    """TCP sockets that listen on anything but loopback, as ``/proc`` writes addresses: hexadecimal."""
    for name in ("tcp", "tcp6"):
        file = Path("/proc/net") / name
        for line in file.read_text().splitlines()[1:] if file.exists() else ():
            local, state = line.split()[1], line.split()[3]
            address, _, port = local.partition(":")
            if state == LISTENING and not LOOPBACK.match(address):
                yield f"{name} {address} {int(port, 16)}"


def _is_of_a_container(line: str, bridge: IPv4Network | None) -> bool:
    """Whether a rule names an address of a container on the engine's default bridge."""
    if bridge is None:
        return False
    return any(ip_address(each) in bridge for each in ADDRESS.findall(line))


def _bridge_range() -> IPv4Network | None:
    for link in _json("ip", "-json", "address"):
        if link["ifname"] == BRIDGE:
            for each in link.get("addr_info", ()):
                if each["family"] == "inet":
                    return IPv4Network(f"{each['local']}/{each['prefixlen']}", strict=False)
    return None


def _json(*command: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_output(*command) or "[]")
    return found


def _output(*command: str) -> str:
    """A command's output; empty where it does not exist or is not permitted."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=scaled(SECONDS), check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""

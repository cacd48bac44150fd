"""What else decides where packets go: links, routes and their rules, queues and filters, kernel parameters.

Runs in the fabric's namespace. Each difference from what the fabric made carries the command that restores
it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from wt_fabric.command import FabricError, run
from wt_fabric.main import SETTINGS

EDGE, LOOPBACK = "edge0", "lo"
RULES = ((0, "all", "local"), (32766, "all", "main"), (32767, "all", "default"))
OF_LINKS = {"proxy_arp": "1", "rp_filter": "0", "forwarding": "1"}
INGRESS = ("ingress", "clsact")

Link = Mapping[str, Any]  # name, ip, gateway; as in wt_fabric.wiring
Found = dict[str, Any]


def differences(links: Sequence[Link], shaped: Iterable[str]) -> list[Found]:
    """What is not as the fabric made it; ``links`` may be there, those in ``shaped`` have netem queues."""
    there = _json("ip", "-json", "-details", "link", "show")
    names = {each["ifname"] for each in there}
    usual = {each["ifname"] for each in _json("unshare", "--net", "ip", "-json", "link", "show")}
    known = [each for each in links if each["name"] in names]
    return [
        *of_links(there, {each["name"] for each in links} | {EDGE}, usual),
        *of_routes(_json("ip", "-json", "route", "show", "table", "all"), known, _outside(), links),
        *of_rules(_json("ip", "-json", "rule")),
        *of_queues(_json("tc", "-json", "qdisc", "show"), set(shaped), usual),
        *_of_settings([EDGE, *(each["name"] for each in known)]),
    ]


def restore(found: Iterable[Found]) -> None:
    """Undo what can be undone."""
    for each in found:
        with contextlib.suppress(FabricError):  # the next comparison shows what is left
            run(*each["command"])


def of_links(there: Iterable[Mapping[str, Any]], ours: set[str], usual: set[str]) -> Iterator[Found]:
    """Interfaces that nobody of ours made, and those of ours that have become part of something."""
    for each in there:
        name, kind = each["ifname"], each.get("linkinfo", {}).get("info_kind", "")
        if name in usual:
            continue
        if name not in ours or kind != "veth":
            yield _found(
                f"link {name}", "is foreign", f"{kind or 'device'} {name}", "ip", "link", "del", name
            )
        elif "master" in each:
            text, command = f"master {each['master']}", ("ip", "link", "set", name, "nomaster")
            yield _found(f"link {name}", "is part of another", text, *command)
        elif "xdp" in each:
            text = f"xdp {json.dumps(each['xdp'])}"
            yield _found(
                f"link {name}", "has a foreign program", text, "ip", "link", "set", name, "xdp", "off"
            )


def of_routes(
    there: Sequence[Mapping[str, Any]], known: Sequence[Link], outside: Iterable[str], links: Iterable[Link]
) -> Iterator[Found]:
    """Routes other than one to each address, and that are missing. A blackhole opens nothing."""
    wanted = {each["ip"]: each["name"] for each in known} | dict.fromkeys(outside, EDGE)
    machines = [IPv4Address(each["ip"]) for each in links]
    for each in there:
        kind, target = each.get("type", "unicast"), each["dst"]
        if kind == "unicast":
            fine = wanted.get(target) == each.get("dev") and "gateway" not in each
        else:
            fine = kind == "blackhole" or (each.get("dev") == LOOPBACK and not _takes(target, machines))
        if not fine:
            yield _found(
                f"route {target}", "is foreign", _route(each), "ip", "route", "del", *_route(each).split()
            )
    present = {(each["dst"], each.get("dev")) for each in there}
    for link in known:
        if (link["ip"], link["name"]) not in present:
            words = f"{link['ip']}/32 dev {link['name']} src {link['gateway']}"
            yield _found(f"route {link['ip']}", "is missing", words, "ip", "route", "replace", *words.split())


def of_rules(there: Iterable[Mapping[str, Any]]) -> Iterator[Found]:
    """Routing rules other than the kernel's own three."""
    found = {(each["priority"], each["src"], each["table"]): each for each in there if _is_plain(each)}
    for each in there:
        key = (each["priority"], each["src"], each.get("table", ""))
        if key not in RULES or key not in found:
            command = ("ip", "rule", "del", "priority", str(each["priority"]))
            yield _found(f"routing rule {each['priority']}", "is foreign", json.dumps(dict(each)), *command)
    for priority, source, table in RULES:
        if (priority, source, table) not in found:
            words = f"from {source} lookup {table} priority {priority}"
            yield _found(f"routing rule {priority}", "is missing", words, "ip", "rule", "add", *words.split())


def of_queues(there: Iterable[Mapping[str, Any]], shaped: set[str], usual: set[str]) -> Iterator[Found]:
    """Queues other than none, or the one that makes a link worse: only a queue can have filters."""
    for each in there:
        name, kind = each["dev"], each["kind"]
        if kind == "noqueue" or (kind == "netem" and name in shaped) or name in usual:
            continue
        where = kind if kind in INGRESS else "root"
        text = f"{kind} {json.dumps(each.get('options', {}))}"
        yield _found(f"queue of {name}", "is foreign", text, "tc", "qdisc", "del", "dev", name, where)


def _of_settings(links: Iterable[str]) -> Iterator[Found]:
    wanted = {f"/proc/sys/net/{key}": str(value) for key, value in SETTINGS.items()}
    for link in links:
        wanted |= {f"/proc/sys/net/ipv4/conf/{link}/{key}": value for key, value in OF_LINKS.items()}
    for file, value in wanted.items():
        path = Path(file)
        if path.exists() and (is_ := path.read_text().strip()) != value:
            where, text = file.removeprefix("/proc/sys/").replace("/", "."), f"{is_} instead of {value}"
            yield _found(
                f"kernel parameter {where}", "was changed", text, "sh", "-c", f"echo {value} > {file}"
            )


def _found(where: str, problem: str, text: str, *command: str) -> Found:
    return {"where": where, "problem": problem, "text": text, "command": command}


def _json(*argv: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(*argv) or "[]")
    return [each for each in found if each]


def _outside() -> list[str]:
    return list(json.loads(os.environ["WT_LAYOUT"])["outside"])


def _takes(target: str, machines: Iterable[IPv4Address]) -> bool:
    """Whether a destination covers a machine's address."""
    try:
        network = IPv4Network(target, strict=False)
    except ValueError:
        return target == "default"
    return any(each in network for each in machines)


def _route(each: Mapping[str, Any]) -> str:
    words = [
        each.get("type", ""),
        each["dst"],
        *(f"{key} {each[key]}" for key in ("dev", "table") if key in each),
    ]
    gateway = f"via {each['gateway']}" if "gateway" in each else ""
    return " ".join(filter(None, [*words[:2], gateway, *words[2:]]))


def _is_plain(each: Mapping[str, Any]) -> bool:
    """Whether a routing rule uses nothing but what all packets have."""
    return set(each) <= {"priority", "src", "table"}

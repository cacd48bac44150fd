"""Do what the emulator asks for: one JSON object a line in, one a line out, several at once.

In: ``{"id": 1, "op": "load", ...}``; out: ``{"id": 1, "ok": ...}`` or ``{"id": 1, "error": "..."}``.
The agent keeps nothing: the kernel and files below /run/wavetank hold all state. It may be begun before the
network is there, and loads meanwhile; it does nothing before that is made and proved to filter.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from wt_fabric import flows, guests, netem, surroundings, wiring
from wt_fabric import ruleset as rules
from wt_fabric.command import FABRIC, READY, RUN, FabricError, enter, run
from wt_fabric.facts import facts, free_bytes

TABLE = ("inet", "wavetank")
GATES = "gates.out"  # of the two maps, which hold the same links

# What somebody might put in by hand, by name; each lets something pass that no firewall can allow or see.
FAULTS = {
    "tcp": "insert rule inet wavetank forward tcp dport 7777 accept",
    "udp": "insert rule inet wavetank forward udp dport 5555 accept",
    "gre": "insert rule inet wavetank forward meta l4proto 47 accept",
    "source-port": "insert rule inet wavetank forward tcp sport 1024 accept",
    "icmp": "insert rule inet wavetank forward icmp type timestamp-request accept",
}

GUEST_SECONDS = 2.0  # until whoever asks is told that it is to ask again

loading = threading.Lock()
wiring_lock = threading.Lock()
speaking = threading.Lock()


def load(ruleset: str, whole: str) -> list[dict[str, str]]:
    """Make a ruleset the one in force, whole or not at all; returns what was there that nobody loaded.

    ``whole`` is the same ruleset for an empty table.
    """
    with loading:
        return rules.load(ruleset, whole)


def examine(whole: str, links: list[dict[str, Any]], shaped: list[str]) -> dict[str, list[dict[str, str]]]:
    """What is not as it was made, and what was not but is again; nothing is changed.

    ``whole`` is the ruleset that should be in force, or empty: the one that was loaded last. ``links`` may be
    there, and those in ``shaped`` are worse than perfect.
    """
    with loading, wiring_lock:
        found = [*rules.differences(whole), *surroundings.differences(links, shaped)]
        return {"differences": rules.told(found), "repaired": rules.told(rules.remembered())}


def restore(whole: str, links: list[dict[str, Any]], shaped: list[str]) -> dict[str, list[dict[str, str]]]:
    """Make everything as it should be, and forget what was not. Returns what still is not, and what was."""
    with loading, wiring_lock:
        found = [*rules.differences(whole), *surroundings.differences(links, shaped)]
        rules.replace(rules.sweep() + whole, whole)
        surroundings.mend(each for each in found if "mend" in each)
        repaired = [*rules.remembered(), *found]
        rules.forget()
        left = [*rules.differences(whole), *surroundings.differences(links, shaped)]
        return {"differences": rules.told(left), "repaired": rules.told(repaired)}


def tamper(fault: str) -> None:
    """Put a rule in by hand, as nobody should."""
    with loading:
        run("nft", FAULTS[fault])


def objects() -> dict[str, Any]:
    """Chains by name, and counters with their packets and bytes."""
    chains, counters = [], []
    for entry in _listed("table"):
        if "chain" in entry:
            chains.append(entry["chain"]["name"])
        if "counter" in entry:
            counters.append({key: entry["counter"][key] for key in ("name", "packets", "bytes")})
    return {"chains": chains, "counters": counters}


def gated() -> list[str]:
    """The links that have gates; none before the first load."""
    if not any(entry.get("map", {}).get("name") == GATES for entry in _listed("table")):
        return []
    (found,) = (entry["map"] for entry in _listed("map", GATES, terse=False) if "map" in entry)
    return [link for link, _ in found.get("elem", ())]


def _listed(kind: str, *name: str, terse: bool = True) -> list[dict[str, Any]]:
    # Terse: without the elements of sets, of which there may be very many.
    output = run("nft", "-j", *(["-t"] if terse else ()), "list", kind, *TABLE, *name)
    return list(json.loads(output)["nftables"])


def wire(
    pid: int, container: str, links: list[dict[str, Any]], quality: dict[str, float], *, guest: bool
) -> bool:
    """Connect a machine, by links of a quality. False: what the container's process runs is not there yet.

    ``guest``: it is what the container's process ``pid`` runs, not that process itself.
    """
    machine = guests.first_process(pid, GUEST_SECONDS) if guest else pid
    if machine is None:
        return False
    with wiring_lock:
        wiring.wire(machine, container, links, quality)
    return True


def shape(names: list[str], quality: dict[str, float]) -> None:
    """Give those of the links that are there another quality."""
    with wiring_lock:
        netem.shape(names, quality)


def unwire(names: list[str], ips: list[str]) -> None:
    """Disconnect a machine."""
    with wiring_lock:
        wiring.unwire(names, ips)


def publish(ref: str, ips: list[str], metadata: dict[str, Any] | None, hosts: dict[str, str]) -> None:
    """Tell a machine about itself, and everybody its names (host name -> address)."""
    for ip in ips if metadata is not None else ():
        _write(RUN / "metadata" / f"{ip}.json", json.dumps(metadata))
    if hosts:
        _write(RUN / "hosts" / ref.replace(":", "-"), "".join(f"{ip} {name}\n" for name, ip in hosts.items()))
        _reread_hosts()


def retract(ref: str, ips: list[str]) -> None:
    """Forget a machine."""
    for ip in ips:
        (RUN / "metadata" / f"{ip}.json").unlink(missing_ok=True)
    hosts = RUN / "hosts" / ref.replace(":", "-")
    if hosts.exists():
        hosts.unlink()
        _reread_hosts()


def _write(path: Path, text: str) -> None:
    # dnsmasq reads every file of its directory, so what is half written must not be there.
    temporary = RUN / f"{path.name}.{threading.get_ident()}"
    temporary.write_text(text)
    temporary.replace(path)


def _reread_hosts() -> None:
    os.kill(int((RUN / "dnsmasq.pid").read_text()), signal.SIGHUP)


def banner(ip: str, port: int, seconds: float) -> str:
    """The first line that a server says."""
    try:
        with socket.create_connection((ip, port), timeout=seconds) as connection:
            return connection.recv(256).decode(errors="replace").strip()
    except OSError as error:
        raise FabricError(f"{ip}:{port}: {error}") from error


OPERATIONS: dict[str, Callable[..., Any]] = {
    "load": load,
    "examine": examine,
    "restore": restore,
    "tamper": tamper,
    "objects": objects,
    "gated": gated,
    "wire": wire,
    "unwire": unwire,
    "shape": shape,
    "links": wiring.links,
    "publish": publish,
    "retract": retract,
    "banner": banner,
    "flows": flows.flows,
    "facts": facts,
    "free_bytes": free_bytes,
}


def answer(line: str) -> None:
    """Do one thing and say how it went."""
    request = json.loads(line)
    number, operation = request.pop("id"), request.pop("op")
    try:
        reply = {"id": number, "ok": OPERATIONS[operation](**request)}
    except Exception as error:  # noqa: BLE001 (whatever went wrong, the emulator must hear of it)
        kind = "" if isinstance(error, FabricError) else f"{operation}: {type(error).__name__}: "
        reply = {"id": number, "error": f"{kind}{error}"}
    with speaking:
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


def enter_fabric() -> None:
    """Be in the fabric's namespace, once it is ready; with the container's first process we end, too."""
    while not READY.exists():
        time.sleep(0.005)
    handle = os.open(f"/run/netns/{FABRIC}", os.O_RDONLY)
    enter(handle)  # before there are other threads
    os.close(handle)


if __name__ == "__main__":
    enter_fabric()
    with ThreadPoolExecutor(max_workers=24) as pool:
        for line in sys.stdin:
            pool.submit(answer, line)

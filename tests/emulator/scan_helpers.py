"""For tests of scans: orders, accounts, listeners in droplets, and looks behind the scenes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tank import Tank

from emulator.docker.droplet import inside
from emulator.docker.engine import execute
from emulator.docker.fabric import scans
from emulator.planes.base import ScanOrder, ScanPair
from harness.core.wait import NotYet, wait_for
from harness.firewall.model import Pair
from harness.isolation.counted.verdict import judge
from harness.isolation.model import ScanResult

TWO = "10.1.0.11"
LISTENERS = [80, 2049, 2500, 5000, 8080, 8081, 25060, 33333, 60999, 65535]
UDP_LISTENER = 5353
DROPS = ("arrived", "denied_out", "denied_in", "unrouted", "other_drops")
VPC = {1: 1, 2: 1, 3: 2, 4: 1}
LISTEN = """
import os, select, socket, sys
socks = [socket.create_server(("0.0.0.0", int(port))) for port in sys.argv[2:]]
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("0.0.0.0", int(sys.argv[1])))
with open("/run/listener", "w") as file:
    file.write(str(os.getpid()))
while True:
    for sock in select.select([*socks, echo], [], [])[0]:
        if sock is echo:
            echo.sendto(b"here", echo.recvfrom(64)[1])
        else:
            sock.accept()[0].close()
"""


def pair(source: int | str, target: int | str, side: str = "private") -> ScanPair:
    """A pair of droplets by number, or of the internet."""
    from_side = "public" if source == "internet" else side
    return ScanPair(_ref(source), _ref(target), side, _ip(source, from_side), _ip(target, side))  # type: ignore[arg-type]


def _ref(end: int | str) -> str:
    return f"droplet:{end}" if isinstance(end, int) else end


def _ip(end: int | str, side: str) -> str:
    if not isinstance(end, int):
        return "192.0.2.10"
    return f"203.0.113.{9 + end}" if side == "public" else f"10.{VPC.get(end, 1)}.0.{9 + end}"


def order(
    *pairs: ScanPair,
    tcp: Any = ((1, 65535),),
    udp: Any = (),
    icmp: bool = False,
    passes: int = 2,
) -> ScanOrder:
    """All TCP ports, twice, unless told otherwise."""
    return ScanOrder(pairs, tcp, udp, icmp, passes)


def account(told: Mapping[str, Any], protocol: str = "tcp") -> Any:
    """One protocol's account."""
    return told[protocol]


def verdict(told: Mapping[str, Any], protocol: Any = "tcp") -> ScanResult:
    """What both evidence sources together say."""
    return judge(Pair("a", "b"), protocol, told[protocol], told["error"])


def books_balance(told: Mapping[str, Any]) -> None:
    """Every packet that was sent is one that arrived or was dropped by name."""
    for protocol in ("tcp", "udp", "icmp"):
        if told[protocol] is not None and not told["error"]:
            counts = told[protocol]
            assert counts["sent"] == sum(counts[name] for name in DROPS), counts


@contextmanager
def listening(tank: Tank, number: int) -> Iterator[None]:
    """A droplet that listens on ``LISTENERS``, and answers datagrams to ``UDP_LISTENER``."""
    container = tank.engine.containers.get(tank.container(number))
    argv = ["python3", "-Ic", LISTEN, *map(str, (UDP_LISTENER, *LISTENERS))]
    container.exec_run(inside(argv), detach=True)

    def probe() -> None:
        if tank.run(number, "test", "-s", "/run/listener")[0]:
            raise NotYet("it does not listen")

    wait_for("the listener", probe, deadline=20)
    try:
        yield
    finally:
        tank.run(number, "sh", "-c", "kill $(cat /run/listener); rm -f /run/listener")


def fabric(tank: Tank) -> str:
    """The fabric's container."""
    return f"wt-{tank.instance}-fabric"


def _in_fabric(tank: Tank, *argv: str) -> str:
    return execute(tank.engine, fabric(tank), argv)[1].decode()


def tables(tank: Tank, number: int) -> Sequence[str]:
    """Names of all tables of nftables in a droplet."""
    listed = _in_fabric(tank, "nsenter", f"--net={tank.namespace(number)}", "nft", "list", "tables")
    return [line for line in listed.splitlines() if line.startswith("table")]


def untouched(tank: Tank) -> dict[str, Any]:
    """What a scan must leave as it was."""
    host = ("nsenter", "--net=/proc/1/ns/net")
    return {
        "droplets": {number: tables(tank, number) for number in (1, 2, 4)},
        "host's tables": _in_fabric(tank, *host, "nft", "list", "tables"),
        "host's routes": _in_fabric(tank, *host, "ip", "route"),
        "own tables": _in_fabric(tank, "nft", "list", "tables"),
    }


@dataclass(frozen=True)
class Processes:
    """Scans that run in a tank's fabric."""

    tank: Tank

    def pids(self) -> list[str]:
        """Their process ids, as the engine's machine has them."""
        top = self.tank.engine.api.top(fabric(self.tank), ps_args="-eo pid,args")
        return [each[0] for each in top["Processes"] if "wt_fabric.scan.main" in " ".join(each)]

    def kill(self) -> None:
        """Kill them all; they have no time to clean up."""
        _in_fabric(self.tank, "sh", "-c", f"kill -9 {' '.join(self.pids())}")

    @contextmanager
    def begin(self, asked: ScanOrder) -> Iterator[None]:
        """Start one as an emulator does, and hang up at the end."""
        running = {each.ref: (each, pid, container) for each, pid, container in self.tank.plane._running()}
        made = self.tank.engine.api.exec_create(fabric(self.tank), scans.COMMAND, stdin=True)["Id"]
        stream = self.tank.engine.api.exec_start(made, socket=True)
        raw = stream._sock
        try:
            raw.sendall(json.dumps(scans.specification(asked, running)).encode() + b"\n")
            yield
        finally:
            raw.shutdown(socket.SHUT_RDWR)
            stream.close()
            raw.close()


def processes(tank: Tank) -> Processes:
    """The scans of a tank."""
    return Processes(tank)

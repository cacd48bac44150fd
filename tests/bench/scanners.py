"""Other people's scanners, run inside a droplet's network namespace and never anywhere else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from xml.etree import ElementTree as ET

from emulator.docker.engine import connect
from harness.core import ports
from harness.core.errors import CommandError, EngineError, UsageError
from harness.core.ports import Ports

ASYNCIO = Path(__file__).with_name("asyncio_scan.py")
INSTALL_SECONDS = 300.0


@dataclass(frozen=True)
class ProbeSource:
    """A droplet's network namespace, by a process in it, and the one address that is scanned from there."""

    pid: int
    ip: str
    target: str
    limit: float

    def run(self, *command: str) -> str:
        """The output of a command in the namespace. Raises ``CommandError``, also when its time is up."""
        argv = ["nsenter", f"--net=/proc/{self.pid}/ns/net", *command]
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                out, err = process.communicate(timeout=self.limit)
            except subprocess.TimeoutExpired:
                process.kill()
                raise CommandError(argv, -9, f"not done after {self.limit:g} s") from None
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise CommandError(argv, process.returncode, out[-1000:] + err[-1000:])
        return out


@dataclass(frozen=True)
class Found:
    """What a scanner says: open ports, and closed ones where it tells them (None: it does not)."""

    open: Ports
    closed: Ports | None = None


@dataclass(frozen=True)
class Scanner:
    """A scanner by name and options; ``package`` is Debian's ("": none is needed)."""

    tool: str
    options: str
    scan: Callable[[ProbeSource, Sequence[str]], Found]
    package: str = ""


def probe_source(
    state: Path, droplet: int, ip: str, target: str, vpc_range: str, *, limit: float
) -> ProbeSource:
    """The namespace of a droplet of the emulator whose directory is ``state``.

    Raises ``UsageError`` if the target is not an address of the run's own VPC, ``EngineError`` where there
    is no such container or this process may not enter it: packets must not be sent from anywhere else.
    """
    if ip_address(target) not in ip_network(vpc_range):
        raise UsageError(f"{target} is not in the run's own range {vpc_range}; it is not scanned")
    if os.geteuid():
        raise EngineError("other scanners are run in a droplet's network namespace; that takes root")
    labels = [f"wavetank.state={state}", f"wavetank.ref=droplet:{droplet}"]
    found = connect().containers.list(filters={"label": labels})
    if len(found) != 1:
        raise EngineError(f"droplet {droplet} is {len(found)} containers of {state}")
    pid = int(found[0].attrs["State"]["Pid"])
    if not pid or _namespace(pid) == _namespace(os.getpid()):
        raise EngineError(f"droplet {droplet} has no network namespace of its own here")
    return ProbeSource(pid, ip, target, limit)


def _namespace(pid: int) -> int:
    return Path(f"/proc/{pid}/ns/net").stat().st_ino


def missing(scanner: Scanner) -> str:
    """Why a scanner cannot be run, after trying to install it where that is ours to do; empty: it can."""
    if not scanner.package or shutil.which(scanner.tool):
        return ""
    if os.geteuid() or not shutil.which("apt-get"):
        return f"install Debian's package {scanner.package}"
    argv = ["apt-get", "install", "-y", "--no-install-recommends", scanner.package]
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )
    return "" if done.returncode == 0 else f"{' '.join(argv)} failed: {done.stderr.strip()[-200:]}"


def nmap(at: ProbeSource, options: Sequence[str]) -> Found:
    """A SYN scan of all ports, without the phases before it."""
    result = at.run("nmap", "-n", "-Pn", "-p1-65535", *options, "-oX", "-", at.target)
    found: dict[str, list[int]] = {"open": [], "closed": []}
    root = ET.fromstring(result)
    for each in root.iter("port"):
        state = each.find("state")
        if state is not None:
            found.setdefault(str(state.get("state")), []).append(int(str(each.get("portid"))))
    return Found(port_set(found["open"]), port_set(found["closed"]))


def masscan(at: ProbeSource, options: Sequence[str]) -> Found:
    """All ports, from the droplet's own address; masscan needs the route to the outside."""
    device, router = _route(at)
    result = at.run(
        "masscan", at.target, "-p1-65535", "--interface", device, "--adapter-ip", at.ip,
        "--router-mac", router, "--wait", "2", *options, "-oL", "-",
    )  # fmt: skip
    lines = [line.split() for line in result.splitlines()]
    return Found(port_set(int(words[2]) for words in lines if words[:2] == ["open", "tcp"]))


def asyncio_scan(at: ProbeSource, options: Sequence[str]) -> Found:
    """The scan of asyncio_scan.py."""
    result = json.loads(at.run(sys.executable, "-I", str(ASYNCIO), at.target, *options))
    return Found(port_set(result["open"]), port_set(result["closed"]))


def _route(at: ProbeSource) -> tuple[str, str]:
    """The interface to the target, and the hardware address of whoever takes packets for it there."""
    words = at.run("ip", "-o", "route", "get", at.target).split()
    device = words[words.index("dev") + 1]
    hop = words[words.index("via") + 1] if "via" in words else at.target
    for line in at.run("ip", "neigh", "show", "dev", device).splitlines():
        neighbour = line.split()
        if neighbour[0] == hop and "lladdr" in neighbour:
            return device, neighbour[neighbour.index("lladdr") + 1].replace(":", "-")
    raise EngineError(f"no neighbour {hop} on {device}: nothing was ever sent there")


def port_set(found: Iterable[int]) -> Ports:
    """Ports from numbers."""
    return ports.union(*(((number, number),) for number in found))


SCANNERS = (
    Scanner("nmap", "-sS -T4", nmap, "nmap"),
    Scanner("nmap", "-sS --min-rate 20000 --max-retries 1", nmap, "nmap"),
    Scanner("nmap", "-sS --min-rate 100000 --max-retries 0", nmap, "nmap"),
    Scanner("masscan", "--rate 100000", masscan, "masscan"),
    Scanner("masscan", "--rate 500000", masscan, "masscan"),
    Scanner("asyncio", "15000 1", asyncio_scan),
)

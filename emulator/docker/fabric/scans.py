"""A scan in the fabric's container: one process for each, which exchanges lines of JSON.

It is not the agent's work, whose answers are short; it ends with its input, so none outlives the emulator.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import docker
from docker.utils.socket import frames_iter

from emulator.docker.engine import asking
from emulator.docker.fabric.links import Machine
from emulator.planes.base import INTERNET, PlaneError, ScanOrder, ScanPair

COMMAND = ["python3", "-m", "wt_fabric.scan.main"]
STDOUT = 1
POLL_SECONDS, ALIVE_SECONDS = 0.1, 2.0
END_SECONDS = 15.0
DEVICES = {"private": "eth1", "public": "eth0"}
BEYOND = {"device": "fabric0", "link": "edge0"}

Running = Mapping[str, tuple[Machine, int, str]]
OnProgress = Callable[[int, int], object]


def specification(order: ScanOrder, running: Running) -> dict[str, Any]:
    """The scan's input. ``running`` are machines by ref: with their first process and container."""
    refs = {ref for pair in order.pairs for ref in (pair.source, pair.target)}
    ends = {ref: _end(*each) for ref, each in running.items()}
    ends[INTERNET] = {"pid": 0, "container": "", "guest": False, "links": [BEYOND["link"]]}
    lost = {"pid": -1, "guest": False, "links": []}
    return {
        # A machine that does not run is named too: its pairs are reported as lost, the others go on.
        "ends": {ref: ends.get(ref, {**lost, "container": ref}) for ref in refs},
        "pairs": [_pair(pair, running) for pair in order.pairs],
        "tcp": order.tcp,
        "udp": order.udp,
        "icmp": order.icmp,
        "passes": order.passes,
    }


def _end(machine: Machine, pid: int, container: str) -> dict[str, Any]:
    links = [link.name for link in machine.links]
    return {"pid": pid, "container": container, "guest": machine.is_guest, "links": links}


def _pair(pair: ScanPair, running: Running) -> dict[str, str]:
    ends = {
        "source": pair.source,
        "target": pair.target,
        "source_ip": pair.source_ip,
        "target_ip": pair.target_ip,
    }
    if pair.source == INTERNET:
        return ends | BEYOND
    device = DEVICES[pair.side]
    links = running[pair.source][0].links if pair.source in running else ()
    return ends | {"device": device, "link": next((each.name for each in links if each.device == device), "")}


@dataclass
class _Process:
    """A process in the fabric's container: its input, its output by lines, and its error output."""

    engine: docker.DockerClient
    id: str
    socket: socket.socket
    lines: queue.Queue[bytes | None]
    error_output: list[bytes]

    def runs(self) -> bool:
        with asking("looking after a scan"):
            return bool(self.engine.api.exec_inspect(self.id)["Running"])


def scan(
    engine: docker.DockerClient,
    container: str,
    order: Mapping[str, Any],
    on_progress: OnProgress,
    cancelled: threading.Event,
) -> Sequence[Mapping[str, Any]]:
    """Scan; ``on_progress`` gets packets sent and in all. Returns pairs' accounts. Raises ``PlaneError``."""
    with _process(engine, container) as process:
        with contextlib.suppress(OSError):  # its output says why
            process.socket.sendall(json.dumps(order).encode() + b"\n")
        for line in _lines(process, cancelled):
            if "error" in line:
                raise PlaneError(line["error"])
            on_progress(int(line["sent"]), int(line["total"]))
            if "pairs" in line:
                accounts: Sequence[Mapping[str, Any]] = line["pairs"]
                return accounts
    error_output = b"".join(process.error_output).decode(errors="replace").strip()
    raise PlaneError(
        f"the scan's process ended without a result: {error_output[-2000:] or 'it had no output'}"
    )


def _lines(process: _Process, cancelled: threading.Event) -> Iterator[dict[str, Any]]:
    """The process's output, until it ends; a cancel is sent to it once."""
    last_output = time.monotonic()
    end_by = 0.0
    while True:
        try:
            line = process.lines.get(timeout=POLL_SECONDS)
        except queue.Empty:
            # The engine does not close the connection when it ends the container.
            if time.monotonic() - last_output > ALIVE_SECONDS and not process.runs():
                return
        else:
            if line is None:
                return
            last_output = time.monotonic()
            yield json.loads(line)
        if cancelled.is_set() and not end_by:
            end_by = time.monotonic() + END_SECONDS
            with contextlib.suppress(OSError):
                process.socket.sendall(b"cancel\n")
        if end_by and time.monotonic() > end_by:
            raise PlaneError(f"the scan did not end in {END_SECONDS:.0f} s")


@contextmanager
def _process(engine: docker.DockerClient, container: str) -> Iterator[_Process]:
    with asking("starting a scan"):
        made: str = engine.api.exec_create(container, COMMAND, stdin=True)["Id"]
        stream = engine.api.exec_start(made, socket=True)
    # The SDK wraps the socket in a reader that cannot be written to.
    raw = cast(socket.socket, getattr(stream, "_sock", stream))
    raw.settimeout(None)
    process = _Process(engine, made, raw, queue.Queue(), [])
    threading.Thread(target=_read, args=(process, stream), name="scan", daemon=True).start()
    try:
        yield process
    finally:
        with contextlib.suppress(OSError):
            raw.shutdown(socket.SHUT_RDWR)
        stream.close()
        raw.close()


def _read(process: _Process, stream: Any) -> None:
    pending = b""
    try:
        for number, data in cast(Any, frames_iter)(stream, tty=False):
            if number != STDOUT:
                process.error_output.append(data)
                continue
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                process.lines.put(line)
    except (OSError, ValueError):
        pass  # closing while a read is under way looks like this
    process.lines.put(None)

"""How soon a change of rules is enforced after the API's answer: ``python -m tests.bench.enforce``.

One droplet sends numbered packets to another on two ports, one after the other without a pause worth the
name; a Cloud Firewall admits one port, then the other, and so on. A packet that is still judged by the rules
of before tells how late the change was. The clock is the kernel's, which both droplets share with us.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click
import httpx
from docker.models.containers import Container

from emulator.docker.droplet import inside
from emulator.docker.engine import execute
from harness.core.errors import ApiError, ResourceError
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.run import report
from harness.target import emulator_process
from harness.target.target import Target
from tests.bench.containers import of_emulator, running

OLD, NEW = 7001, 7002
MOST_MS = 100.0
BOOT, APPLY = 120.0, 10.0
SETTLE = 0.05
DROPLET = {"region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
BOOT_ID = "/proc/sys/kernel/random/boot_id"
SENDER = """
import json, select, socket, sys, time
where, ports, sent = sys.argv[1], (int(sys.argv[2]), int(sys.argv[3])), []
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while not select.select([sys.stdin], [], [], 0.0005)[0]:
    for port in ports:
        sent.append((time.monotonic(), port))
        out.sendto(str(len(sent) - 1).encode(), (where, port))
print(json.dumps(sent))
"""
RECEIVER = """
import json, select, socket, sys
came, sockets = [], []
for port in sys.argv[1:]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    listener.bind(("0.0.0.0", int(port)))
    sockets.append(listener)
while True:
    ready = select.select([sys.stdin, *sockets], [], [])[0]
    came += [int(listener.recv(64)) for listener in ready if listener is not sys.stdin]
    if ready == [sys.stdin]:
        break
print(json.dumps(came))
"""


@dataclass(frozen=True)
class Change:
    """One change: the port admitted from then on; when it was asked for, answered, said to be in force."""

    port: int
    asked: float
    answered: float
    in_force: float


@click.command()
@click.option("--changes", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--json", "file", type=click.Path(path_type=Path), help="Also write all figures to this file.")
def main(changes: int, file: Path | None) -> None:
    """Measure and print a table; exit 1 if a change was enforced later than it may be."""
    with tempfile.TemporaryDirectory(prefix="wavetank-bench-") as directory:
        delays = measure(Path(directory), changes)
    click.echo(table(delays))
    if file:
        document = {**delays, "environment": report.environment(Target("local", "", ""))}
        file.write_text(json.dumps(document, indent=2) + "\n")
    sys.exit(max(delays["enforced_ms"]) > MOST_MS or bool(max(delays["late_packets"])))


def measure(state_dir: Path, changes: int) -> dict[str, list[float]]:
    """Milliseconds of each change; the emulator and its droplets are there for this only."""
    emulator = emulator_process.start(state_dir, Progress(quiet=True))
    headers = {"Authorization": f"Bearer {emulator.token}"}
    try:
        with httpx.Client(base_url=emulator.http, headers=headers, trust_env=False, timeout=30) as api:
            sender, receiver = (_droplet(api, name) for name in ("sender", "receiver"))
            return _probe(state_dir, api, sender, receiver, changes)
    finally:
        emulator_process.stop(state_dir, destroy=True)


def delays_of(
    changes: Sequence[Change], sent: Sequence[tuple[float, int]], came: Sequence[int]
) -> dict[str, list[float]]:
    """What the packets say of each change.

    ``enforced_ms``: until the last packet that was judged by the rules of before was sent, counted from the
    answer, 0 if there was none; ``said_ms``: until the API said that it was in force; ``late_packets``:
    packets judged by the rules of before though sent after that. Packets are (when, port).
    """
    arrived = set(came)
    found: dict[str, list[float]] = {"enforced_ms": [], "said_ms": [], "late_packets": []}
    ends = [change.asked for change in changes[1:]] + [sent[-1][0] if sent else 0.0]
    for change, end in zip(changes, ends, strict=True):
        wrong = [
            when
            for number, (when, port) in enumerate(sent)
            if change.answered < when < end and (number in arrived) != (port == change.port)
        ]
        found["enforced_ms"].append(round((max(wrong) - change.answered) * 1000, 3) if wrong else 0.0)
        found["said_ms"].append(round((change.in_force - change.answered) * 1000, 3))
        found["late_packets"].append(float(sum(when > change.in_force for when in wrong)))
    return found


def table(delays: Mapping[str, Sequence[float]]) -> str:
    """The figures for people."""
    lines = [f"{len(delays['enforced_ms'])} changes of rules{'min':>28} {'median':>8} {'p95':>8} {'max':>8}"]
    rows = (
        ("enforced_ms", "enforced after the answer, ms"),
        ("said_ms", "said to be in force after the answer, ms"),
        ("late_packets", "packets judged late though it was said"),
    )
    for key, words in rows:
        values = sorted(delays[key])
        p95 = values[min(len(values) - 1, int(len(values) * 0.95))]
        figures = " ".join(f"{value:8.1f}" for value in (values[0], median(values), p95, values[-1]))
        mark = "  MISSED" if key == "enforced_ms" and values[-1] > MOST_MS else ""
        lines.append(f"{words:40} {figures}{mark}")
    return "\n".join([*lines, f"at most {MOST_MS:g} ms"])


def _droplet(api: httpx.Client, name: str) -> dict[str, Any]:
    made = _call(api, "POST", "droplets", {**DROPLET, "name": name})["droplet"]

    def active() -> dict[str, Any]:
        shown: dict[str, Any] = _call(api, "GET", f"droplets/{made['id']}")["droplet"]
        if shown["status"] != "active":
            raise NotYet(shown["status"])
        return shown

    return wait_for(f"droplet {name} to be active", active, deadline=BOOT)


def _probe(
    state_dir: Path, api: httpx.Client, sender: dict[str, Any], receiver: dict[str, Any], changes: int
) -> dict[str, list[float]]:
    boxes = [_container(state_dir, droplet["id"]) for droplet in (sender, receiver)]
    for box in boxes:
        if boot_id(box) != Path(BOOT_ID).read_bytes():
            raise ResourceError(
                "droplet",
                str(box.name),
                "it runs on another kernel than this program, so they share no clock",
            )
    v4 = receiver["networks"]["v4"]
    where = next(one["ip_address"] for one in v4 if one["type"] == "private")
    with _running(boxes[1], RECEIVER, str(OLD), str(NEW)) as arrivals:
        with _running(boxes[0], SENDER, where, str(OLD), str(NEW)) as packets:
            made = list(_changes(api, receiver["id"], changes))
            sent = [(when, port) for when, port in packets()]
        came = [int(number) for number in arrivals()]
    return delays_of(made, sent, came)


def _changes(api: httpx.Client, droplet: int, count: int) -> Iterator[Change]:
    path = f"firewalls/{_call(api, 'POST', 'firewalls', _firewall(droplet, OLD))['firewall']['id']}"
    _in_force(api, path)
    time.sleep(1)  # until both programs run
    for number in range(count):
        port = OLD if number % 2 else NEW
        asked = time.monotonic()
        _call(api, "PUT", path, _firewall(droplet, port))
        answered = time.monotonic()
        _in_force(api, path)
        in_force = time.monotonic()
        time.sleep(max(0.0, answered + MOST_MS / 1000 + SETTLE - in_force))
        yield Change(port, asked, answered, in_force)


def _firewall(droplet: int, port: int) -> dict[str, Any]:
    rule = {"protocol": "udp", "ports": str(port), "sources": {"addresses": ["0.0.0.0/0"]}}
    return {"name": "firewall", "droplet_ids": [droplet], "inbound_rules": [rule]}


def _in_force(api: httpx.Client, path: str) -> None:
    def probe() -> None:
        shown = _call(api, "GET", path)["firewall"]
        if shown["status"] != "succeeded":
            raise NotYet(shown["status"])

    wait_for("the firewall to be in force", probe, deadline=APPLY, first_pause=0.001, max_pause=0.002)


def _call(api: httpx.Client, method: str, path: str, body: Any = None) -> dict[str, Any]:
    answer = api.request(method, f"/v2/{path}", json=body)
    if answer.is_error:
        raise ApiError(f"{method} /v2/{path}", answer.status_code, "", answer.text)
    document: dict[str, Any] = answer.json()
    return document


def _container(state_dir: Path, droplet: int) -> Container:
    return of_emulator(state_dir, f"wavetank.ref=droplet:{droplet}")[0]


def boot_id(box: Any) -> bytes:
    """That of the kernel that a container runs on."""
    return execute(box.client, box.id, ["cat", BOOT_ID])[1]


def _running(box: Container, program: str, *arguments: str) -> AbstractContextManager[Any]:
    """A program in a droplet; what it gives ends it and returns what it printed."""
    return running(box, inside(["python3", "-c", program, *arguments]))


if __name__ == "__main__":
    main()

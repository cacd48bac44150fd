"""Hands all hostile programs in at a time, honest ones among them, and looks at the worker then."""

from __future__ import annotations

import base64
import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from docker.models.containers import Container
from hostile import ALL
from hostile.model import Attack
from judge0_stack import Stack, wait_until_finished

from emulator.docker.engine import execute
from harness.core.errors import WaitTimeoutError
from harness.core.wait import NotYet, wait_for

BASH, ACCEPTED = 46, 3
FIELDS = "token,status,stdout,stderr,compile_output,message"
TEXTS = ("stdout", "stderr", "compile_output", "message")
MAX_FILE_SIZE = 1024 * 1024
DEADLINE = 200.0
# The wall limit where it does not matter: on a busy machine little programs take long.
PATIENT = 100

# Runs in the worker's container.
INSPECT = """
import json, os
from pathlib import Path
boxes = range(1_000_000, 2_000_000)
processes = []
for each in Path("/proc").glob("[0-9]*"):
    try: command = (each / "cmdline").read_bytes().replace(b"\\0", b" ").decode()
    except OSError: continue
    if each.stat().st_uid in boxes or command.startswith("/usr/local/bin/box"):
        processes.append(command)
work = Path("/run/judge0")
handles = [os.readlink(each) for each in Path("/proc/1/fd").iterdir()]
status = dict(line.split(":", 1) for line in Path("/proc/1/status").read_text().splitlines())
print(json.dumps({
    "processes": processes,
    "files": [str(each) for each in work.glob("slots/*/*")],
    "mounts": [line for line in Path("/proc/1/mounts").read_text().splitlines() if "/slots/" in line],
    "groups": [str(each) for each in work.glob(f"cgroup/**/box-{os.uname().nodename}-*")],
    "handles": [each for each in handles if "/slots/" in each or "deleted" in each],
    "peak": int(status["VmHWM"].split()[0]),
}))
"""


@dataclass(frozen=True)
class Condition:
    """A worker: its process (id, start, restarts), its peak of memory, and what there is of boxes."""

    process: tuple[object, ...]
    peak_mb: float
    left: Mapping[str, Sequence[str]]


def condition(worker: Container) -> Condition:
    """How a worker is; a dead one has no peak, and that it is dead is what it left."""
    worker.reload()
    state = worker.attrs["State"]
    process = state["Pid"], state["StartedAt"], worker.attrs["RestartCount"]
    if not state["Running"]:
        return Condition(process, 0, {"dead": [str(state)]})
    code, output = execute(worker.client, worker.id, ["python3", "-c", INSPECT])
    assert code == 0, f"{state}: {output.decode()}"
    left = json.loads(output)
    peak = left.pop("peak") / 1024
    return Condition(process, peak, left)


def tidied(worker: Container) -> Condition:
    """Once the kernel has taken the last process of a box apart; where that never is, with what is left."""
    found: list[Condition] = []

    def probe() -> None:
        found.append(condition(worker))
        if any(found[-1].left.values()):
            raise NotYet(str(found[-1].left))

    with suppress(WaitTimeoutError):
        wait_for("nothing to be left of boxes", probe, deadline=20)
    return found[-1]


@dataclass(frozen=True)
class Aftermath:
    """What became of each program, and of the worker."""

    ended: Mapping[str, Mapping[str, Any]]
    bystanders: Mapping[str, str]
    before: Condition
    after: Condition
    workers: frozenset[str]
    attempts: int

    def check(self, name: str) -> None:
        """The verdict on an attack, and all that can be said of its outputs."""
        __tracebackhide__ = True
        attack_ = next(each for each in ALL if each.name == name)
        if name not in self.ended:
            pytest.skip(f"only for {attack_.machine}")
        ended = self.ended[name]
        shown = {key: (value or b"")[-400:] for key, value in ended.items() if key in TEXTS}
        assert ended["status"]["id"] == attack_.status, f"{attack_.what}: {ended['status']} {shown}"
        if attack_.stdout is not None:
            assert (ended["stdout"] or b"").decode(errors="replace") == attack_.stdout, shown
        for text in (ended[key] or b"" for key in TEXTS):
            assert not [each for each in attack_.lacks if each in text], shown
        assert all(len(ended[key] or b"") <= MAX_FILE_SIZE for key in ("stdout", "stderr"))

    def wronged(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Bystanders that did not get what is theirs."""
        return [
            (expected, self.ended[name])
            for name, expected in self.bystanders.items()
            if (self.ended[name]["status"]["id"], self.ended[name]["stdout"]) != (ACCEPTED, expected.encode())
        ]


def body(attack_: Attack) -> dict[str, object]:
    more: dict[str, object] = {"wall_time_limit": PATIENT, **attack_.body}
    if attack_.archive:
        more["additional_files"] = base64.b64encode(attack_.archive).decode()
    return {"language_id": attack_.language, "source_code": attack_.source, **more}


def bystander(number: int) -> tuple[dict[str, object], str]:
    """An honest program, and what it prints."""
    source, printed = f"sleep 0.1; read x; echo $((x * {number}))", f"{number * 7}\n"
    limits = {"wall_time_limit": PATIENT}
    return {
        "language_id": BASH,
        "source_code": source,
        "stdin": "7",
        "expected_output": printed,
        **limits,
    }, printed


def attack(stack: Stack, client: httpx.Client, worker: Container) -> Aftermath:
    """All that this machine can run, an honest one after every second."""
    suited = [each for each in ALL if each.machine in ("", platform.machine())]
    tokens: dict[str, str] = {}
    bystanders: dict[str, str] = {}
    wait_until_finished(client, hand_in(client, bystander(1)[0]))
    before = condition(worker)
    for number, each in enumerate(suited):
        tokens[each.name] = hand_in(client, body(each))
        if number % 2:
            name = f"bystander-{number}"
            honest, bystanders[name] = bystander(number)
            tokens[name] = hand_in(client, honest)
    with suppress(WaitTimeoutError):  # what is not finished then has no final status, and says so itself
        wait_until_finished(client, *tokens.values(), deadline=DEADLINE)
    ended = dict(zip(tokens, results(client, list(tokens.values())), strict=True))
    after = tidied(worker)
    rows = stack.sql(
        "SELECT worker, max(attempt) FROM submissions WHERE token IN "
        f"({', '.join(repr(token) for token in tokens.values())}) GROUP BY 1"
    )
    workers, attempts = frozenset(row[0] for row in rows), max(int(row[1]) for row in rows)
    return Aftermath(ended, bystanders, before, after, workers, attempts)


def hand_in(client: httpx.Client, what: Mapping[str, object]) -> str:
    answer = client.post("/submissions", json=what)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def results(client: httpx.Client, tokens: Sequence[str]) -> list[dict[str, Any]]:
    """What became of them, texts as bytes."""
    found: list[dict[str, Any]] = []
    for some in (tokens[i : i + 20] for i in range(0, len(tokens), 20)):
        asked = {"tokens": ",".join(some), "fields": FIELDS, "base64_encoded": "true"}
        answer = client.get("/submissions/batch", params=asked).raise_for_status()
        found += [_decoded(each) for each in answer.json()["submissions"]]
    return found


def _decoded(shown: dict[str, Any]) -> dict[str, Any]:
    return {
        key: base64.b64decode(value) if key in TEXTS and value is not None else value
        for key, value in shown.items()
    }

"""How long ``up`` and ``down`` take, and what an emulated deployment needs: ``python -m tests.bench.up``.

Each round is what a user does: ``up`` from nothing, ``up`` again, an edit of one source file and ``up``,
``down``; and before them the emulator is
begun alone, as a program with each plane, from the start of its process until a client with the token has its
first answer, the fabric made anew. One round before them, not counted, builds and saves the images. Medians,
held against what we promise; all figures with --json.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import Request, urlopen

import click

from harness.core.errors import CommandError
from harness.core.paths import PROJECT
from harness.core.wait import NotYet, wait_for
from harness.run import report
from harness.target import emulator_process
from harness.target.target import Target
from tests.bench.containers import (
    images_on_droplets,
    memory_bytes,
    of_emulator,
    remove_images,
    volumes_of_emulator,
)

MIB = 2**20
OFTEN = 0.002
MUTATING = re.compile(r" (POST|PUT|DELETE|PATCH) /v2/")
LEASE_ENDS = " DELETE /v2/tags/wavetank-lease"
APP = PROJECT / "topologies" / "app"
EDITED = "runner/runner/app.py"


@dataclass(frozen=True)
class Figure:
    """One thing that is measured: its name in the JSON, in words, its unit and what it may be at most."""

    key: str
    words: str
    unit: str
    most: float


FIGURES = (
    Figure("serve_memory_s", "python -m emulator serve answers: memory plane", "s", 0.4),
    Figure("serve_docker_s", "python -m emulator serve answers: docker plane", "s", 1),
    Figure("emulator_s", "up: emulator answers", "s", 1),
    Figure("running_s", "up: all droplets active, databases online", "s", 8),
    Figure("accepted_s", "up: first submission Accepted", "s", 20),
    Figure("again_s", "second up", "s", 2),
    Figure("again_calls", "second up: mutating calls", "", 0),
    Figure("edit_s", "up after an edit of one source file", "s", 10),
    Figure("idle_mib", "idle deployment", "MiB", 2048),
    Figure("down_s", "down", "s", 8),
    Figure("left", "left after down", "", 0),
)


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--warm-up/--no-warm-up", default=True, help="Run a first round that is not counted.")
@click.option("--topology", default="standard", show_default=True)
@click.option("--json", "file", type=click.Path(path_type=Path), help="Also write all figures to this file.")
def main(rounds: int, warm_up: bool, topology: str, file: Path | None) -> None:
    """Measure and print a table; exit 1 if a promise is not kept."""
    with tempfile.TemporaryDirectory(prefix="wavetank-bench-") as directory:
        state_dir = Path(directory)
        if warm_up:
            measure(state_dir, topology)
        measured = [measure(state_dir, topology) for _ in range(rounds)]
    medians = {figure.key: median(each[figure.key] for each in measured) for figure in FIGURES}
    click.echo(table(medians, measured))
    if file:
        nowhere = Target("local", "", "")
        document = {"rounds": measured, "median": medians, "environment": report.environment(nowhere)}
        file.write_text(json.dumps(document, indent=2) + "\n")
    sys.exit(any(medians[figure.key] > figure.most for figure in FIGURES))


def measure(state_dir: Path, topology: str) -> dict[str, float]:
    """One round from nothing to nothing; leaves the saved images in ``state_dir``."""
    serving = {f"serve_{plane}_s": seconds_to_serve(plane) for plane in ("memory", "docker")}
    app = state_dir / "app"
    shutil.copytree(APP, app, dirs_exist_ok=True)
    up = ("up", f"--topology={topology}", f"--app={app}")
    first, accepted_s = timed(state_dir, *up, "-o", "json")
    timings = json.loads(first)["timings"]
    calls = mutating_calls(state_dir)
    _, again_s = timed(state_dir, *up)
    again_calls = mutating_calls(state_dir) - calls
    idle_mib = idle_memory(state_dir) / MIB
    with images_removed(state_dir):
        (app / EDITED).write_text(f"{(APP / EDITED).read_text()}# edited: {uuid.uuid4()}\n")
        _, edit_s = timed(state_dir, *up)
    _, down_s = timed(state_dir, "down")
    return {
        **serving,
        "emulator_s": timings["emulator_start"],
        "running_s": timings["prepare"] + timings["provision"],
        "accepted_s": accepted_s,
        "again_s": again_s,
        "again_calls": again_calls,
        "edit_s": edit_s,
        "idle_mib": round(idle_mib),
        "down_s": down_s,
        "left": len(left_over(state_dir)),
        **{f"step {name}": seconds for name, seconds in timings.items()},
    }


@contextmanager
def images_removed(state_dir: Path) -> Iterator[None]:
    """Remove from this machine the images that the block builds and sends to the droplets."""
    before = images_on_droplets(state_dir)
    yield
    remove_images(images_on_droplets(state_dir) - before)


def timed(state_dir: Path, *arguments: str) -> tuple[str, float]:
    """Run one command of ours; returns what it printed and how many seconds it took, start to end."""
    command = [
        sys.executable,
        "-m",
        "harness",
        *arguments,
        f"--state-dir={state_dir}",
        "--target=local",
    ]
    started = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise CommandError(command, done.returncode, done.stdout)
    return done.stdout, round(time.monotonic() - started, 3)


def seconds_to_serve(plane: str) -> float:
    """Seconds from the start of an emulator's process, in an empty directory, to its first answer."""
    emulator = [sys.executable, "-m", "emulator"]
    with tempfile.TemporaryDirectory(prefix="wavetank-bench-") as directory:
        state = Path(directory, "emulator")
        started = time.monotonic()
        server = subprocess.Popen([*emulator, "serve", f"--state={state}", f"--plane={plane}"], cwd=PROJECT)
        try:
            wait_for(
                "its first answer",
                lambda: ask(server, state),
                deadline=60,
                first_pause=OFTEN,
                max_pause=OFTEN,
            )
            return round(time.monotonic() - started, 3)
        finally:
            server.terminate()
            server.wait()
            destroy = [*emulator, "destroy", f"--state={state}", f"--plane={plane}"]
            subprocess.run(destroy, cwd=PROJECT, check=True)


def ask(server: subprocess.Popen[bytes], state: Path) -> None:
    """Read the account. Raises ``NotYet`` while nobody answers, and ``CommandError`` if it has ended."""
    if server.poll() is not None:
        raise CommandError(["emulator", "serve"], server.returncode, "it ended")
    try:
        told = json.loads((state / "endpoint.json").read_text())
    except FileNotFoundError as error:
        raise NotYet("no endpoint.json") from error
    request = Request(f"{told['http']}/v2/account", headers={"Authorization": f"Bearer {told['token']}"})
    urlopen(request, timeout=30).read()


def mutating_calls(state_dir: Path) -> int:
    """How many requests that change something it has logged, but for leases that were given back."""
    log = emulator_process.directory(state_dir) / "log"
    lines = log.read_text().splitlines()
    leases = sum(LEASE_ENDS in line for line in lines)  # each was taken by a call of its own
    return sum(bool(MUTATING.search(line)) for line in lines) - 2 * leases


def idle_memory(state_dir: Path) -> int:
    """Bytes in use by everything of this emulator: its containers, and its server."""
    server = emulator_process.status(state_dir)
    used = sum(memory_bytes(each) for each in of_emulator(state_dir))
    return used + (resident(server.pid) if server else 0)


def left_over(state_dir: Path) -> list[str]:
    """Containers and volumes of this emulator that are still there, whether they run or not."""
    left = [str(each.name) for each in of_emulator(state_dir, stopped=True)]
    return [*left, *volumes_of_emulator(state_dir)]


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def table(medians: Mapping[str, float], rounds: Sequence[Mapping[str, Any]]) -> str:
    """The figures for people: median, the rounds it is of, what was promised."""
    lines = [f"{'':47} {'median':>9} {'at most':>9}   rounds"]
    for figure in FIGURES:
        value = medians[figure.key]
        each = " ".join(f"{one[figure.key]:g}" for one in rounds)
        mark = "" if value <= figure.most else "  MISSED"
        lines.append(f"{figure.words:47} {value:9.4g} {figure.most:9g} {figure.unit:4}{each}{mark}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

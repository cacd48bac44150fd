"""Load generators side by side: how each is run, and what it says in the end."""

from __future__ import annotations

import csv
import io
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np

from harness.core.errors import CommandError
from harness.judge0.model import Address, Route
from harness.load import schedule
from harness.load.generator.generator import generate
from harness.load.model import Order, Outcome, Recording, Times
from harness.load.protocol.plain import open_plain, workload

Ms: TypeAlias = tuple[float, float, float]
QUANTILES = (0.5, 0.9, 0.99)
LATE = 60.0
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
LOCUSTFILE = """
from locust import FastHttpUser, constant, constant_throughput, task
class User(FastHttpUser):
    wait_time = {wait}
    @task
    def get(self):
        self.client.get("/")
"""


@dataclass(frozen=True)
class Figures:
    """What a tool says: requests a second, p50, p90 and p99 in ms, and CPU µs a request that it took.

    ``late_ms`` is p50 and p99 of how late requests were sent, which only ours tells.
    """

    tool: str
    rate: float = 0.0
    ms: Ms = (0.0, 0.0, 0.0)
    cpu_us: float = 0.0
    late_ms: tuple[float, float] | None = None
    errors: int = 0
    note: str = ""


@dataclass(frozen=True)
class Job:
    """What is asked of a tool. ``rate`` 0: as fast as ``connections`` allow (closed loop)."""

    port: int
    seconds: float
    connections: int
    rate: float = 0.0

    @property
    def url(self) -> str:
        """Where."""
        return f"http://127.0.0.1:{self.port}/"


Tool: TypeAlias = Callable[[Job, Sequence[str]], Figures]


def ours(job: Job, cpu: Sequence[str]) -> Figures:
    """Ours, on the CPU that others get as well."""
    route = Route("judge0", "wait", Address("tcp", "127.0.0.1", job.port))
    arrivals: Times = schedule.constant(job.rate, job.seconds) if job.rate else np.zeros(0, np.int64)
    order = Order(
        route,
        workload(answer="ok"),
        arrivals,
        loop="open" if job.rate else "closed",
        clients=job.connections,
        seconds=job.seconds,
        connections=job.connections,
        timeout=LATE,
        drain=LATE,
    )
    with _on(cpu):
        return _figures_of(generate(order, open_protocol=open_plain), job.seconds)


def wrk(job: Job, cpu: Sequence[str]) -> Figures:
    """wrk has no rate: each connection waits so long after an answer that they make it together."""
    argv = [*cpu, "wrk", "-t1", f"-c{job.connections}", f"-d{job.seconds:g}s", "--latency"]
    with tempfile.TemporaryDirectory(prefix="wavetank-bench-") as directory:
        if job.rate:
            script = Path(directory) / "delay.lua"
            script.write_text(f"function delay() return {round(job.connections / job.rate * 1000)} end\n")
            argv += ["-s", str(script)]
        text, seconds = _run([*argv, job.url])
    return read_wrk(text, seconds)


def read_wrk(text: str, cpu_seconds: float) -> Figures:
    """What wrk prints with ``--latency``."""
    found = dict(re.findall(r"^\s+(50|90|99)%\s+(\S+)$", text, re.MULTILINE))
    count = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+(\S+)", text)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    assert count
    assert rate
    return Figures(
        "wrk",
        float(rate[1]),
        (_ms(found["50"]), _ms(found["90"]), _ms(found["99"])),
        cpu_seconds / max(int(count[1]), 1) * 1e6,
        errors=sum(map(int, errors.groups())) if errors else 0,
    )


def hey(job: Job, cpu: Sequence[str]) -> Figures:
    """hey's rate is each worker's."""
    argv = [*cpu, "hey", "-z", f"{job.seconds:g}s", "-c", str(job.connections), "-cpus", "1", "-o", "csv"]
    if job.rate:
        argv += ["-q", f"{job.rate / job.connections:g}"]
    text, seconds = _run([*argv, job.url])
    return read_hey(text, seconds)


def read_hey(text: str, cpu_seconds: float) -> Figures:
    """What hey prints with ``-o csv``: a row for each request, seconds."""
    rows = list(csv.DictReader(io.StringIO(text)))
    took = np.array([float(row["response-time"]) for row in rows])
    span = max(float(row["offset"]) + float(row["response-time"]) for row in rows)
    p50, p90, p99 = (float(each) * 1000 for each in np.quantile(took, QUANTILES))
    wrong = sum(row["status-code"] != "200" for row in rows)
    return Figures("hey", len(rows) / span, (p50, p90, p99), cpu_seconds / len(rows) * 1e6, errors=wrong)


def locust(job: Job, cpu: Sequence[str]) -> Figures:
    """Locust with its faster client, in a process of its own: its gevent patches the standard library."""
    wait = f"constant_throughput({job.rate / job.connections})" if job.rate else "constant(0)"
    with tempfile.TemporaryDirectory(prefix="wavetank-bench-") as directory:
        file = Path(directory) / "locustfile.py"
        file.write_text(LOCUSTFILE.format(wait=wait))
        argv = [*cpu, sys.executable, "-m", "locust", "-f", str(file), "--headless", "--only-summary"]
        argv += ["-u", str(job.connections), "-r", str(job.connections), "-t", f"{job.seconds:g}s"]
        _, seconds = _run([*argv, "--csv", f"{directory}/out", "--host", job.url.rstrip("/")])
        return read_locust(Path(f"{directory}/out_stats.csv").read_text(), seconds)


def read_locust(text: str, cpu_seconds: float) -> Figures:
    """The file that Locust writes with ``--csv``; it rounds to whole ms and two digits."""
    row = next(each for each in csv.DictReader(io.StringIO(text)) if each["Name"] == "Aggregated")
    count = max(int(row["Request Count"]), 1)
    ms = (float(row["50%"]), float(row["90%"]), float(row["99%"]))
    return Figures(
        "locust", float(row["Requests/s"]), ms, cpu_seconds / count * 1e6, errors=int(row["Failure Count"])
    )


TOOLS: Mapping[str, Tool] = {"wavetank": ours, "wrk": wrk, "hey": hey, "locust": locust}


def missing(tool: str) -> str:
    """Why a tool cannot be run, or nothing."""
    if tool in ("wrk", "hey") and not shutil.which(tool):
        return f"not installed: apt-get install {tool}"
    if tool == "locust" and not find_spec("locust"):
        return "not installed: pip install locust"
    return ""


def figures(tool: str, job: Job, cpu: Sequence[str]) -> Figures:
    """One tool's figures, or why there are none."""
    if why := missing(tool):
        return Figures(tool, note=why)
    try:
        return TOOLS[tool](job, cpu)
    except (CommandError, subprocess.TimeoutExpired) as error:
        return Figures(tool, note=str(error).strip().splitlines()[-1][:100])


def _figures_of(recording: Recording, seconds: float) -> Figures:
    samples = recording.samples
    ok = samples[samples["outcome"] == Outcome.OK]
    late = (ok["sent"] - ok["intended"]) / 1e6
    p50, p90, p99 = (float(each) for each in np.quantile((ok["ended"] - ok["intended"]) / 1e6, QUANTILES))
    late50, late99 = (float(each) for each in np.quantile(late, (0.5, 0.99)))
    return Figures(
        "wavetank",
        len(ok) / seconds,
        (p50, p90, p99),
        recording.cpu_seconds / max(len(samples), 1) * 1e6,
        (late50, late99),
        len(samples) - len(ok),
    )


@contextmanager
def _on(cpu: Sequence[str]) -> Iterator[None]:
    """Processes that are started in the block run where ``taskset -c N`` says."""
    before = os.sched_getaffinity(0)
    if cpu:
        os.sched_setaffinity(0, {int(cpu[-1])})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _run(argv: list[str]) -> tuple[str, float]:
    """What a command prints, and its CPU seconds."""
    before = _children()
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise CommandError(argv, done.returncode, done.stdout + done.stderr)
    return done.stdout, _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _ms(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    assert found, text
    return float(found[1]) * _UNITS[found[2]]

"""How fast the reference Judge0 is, and what it costs: ``python -m tests.bench.judge0``.

It must not be what limits a load test. The rates per core come from the CPU time that each container
used, so they mean something on a machine that does other things, too; what is counted by the clock does not.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from harness.core.errors import WavetankError
from harness.core.wait import NotYet, wait_for
from harness.run import report
from harness.target.target import Target
from tests.bench import judge0_load as load
from tests.bench.containers import cpu_seconds
from tests.bench.judge0_bare import bare_run
from tests.judge0_stack import Stack

READY = 60.0
PORT = 2358
QUEUE = {"MAX_QUEUE_SIZE": "1000000"}
EXPECTED = "hello, world\n"
ROLES = ("judge0-server", "judge0-worker", "postgres", "valkey")
# Between the end of one run and the next create, in seconds.
PAUSE = 0.05


@dataclass(frozen=True)
class Figure:
    """One thing that is measured: its key in the JSON, in words, its unit, and the bound that we promise."""

    key: str
    words: str
    unit: str
    side: Literal["at least", "at most", ""] = ""
    bound: float = 0

    def missed(self, value: float) -> bool:
        """Whether the promise is not kept."""
        return (self.side == "at least" and value < self.bound) or (
            self.side == "at most" and value > self.bound
        )


FIGURES = (
    Figure("creates_per_core", "creates a second for each core that the server uses", "/s", "at least", 1000),
    Figure("creates_per_s", "creates a second by the clock", "/s"),
    Figure("begun_p50_ms", "idle: created until a worker begins, p50", "ms", "at most", 5),
    Figure("begun_p99_ms", "idle: created until a worker begins, p99", "ms"),
    Figure("hello_per_s", "Python hello-worlds, create to final status", "/s", "at least", 60),
    Figure("hello_per_two_cores", "the same on two idle cores, from the CPU a submission takes", "/s"),
    Figure("bare_ms", "CPU: the same program in the sandbox alone", "ms"),
    Figure("judge0-worker_ms", "CPU a submission: worker, program included", "ms"),
    Figure("above_ms", "CPU a submission: worker, above the bare run", "ms", "at most", 5),
    Figure("judge0-server_ms", "CPU a submission: server", "ms"),
    Figure("postgres_ms", "CPU a submission: PostgreSQL", "ms"),
    Figure("valkey_ms", "CPU a submission: Valkey and its TLS", "ms"),
)


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    default=5,
    show_default=True,
    help="Duration of the create test.",
)
@click.option(
    "--runs", type=click.IntRange(min=10), default=600, show_default=True, help="Number of hello-world runs."
)
@click.option(
    "--idle", type=click.IntRange(min=5), default=60, show_default=True, help="Number of runs while idle."
)
@click.option("--json", "file", type=click.Path(path_type=Path), help="Also write all figures to this file.")
def main(*, seconds: float, runs: int, idle: int, file: Path | None) -> None:
    """Measure and print a table; exit 1 if a promise is not kept."""
    with Stack() as stack:
        figures = measure(Rig(stack), seconds=seconds, runs=runs, idle=idle)
    click.echo(table(figures))
    if file:
        document = {"figures": figures, "environment": report.environment(Target("local", "", ""))}
        file.write_text(json.dumps(document, indent=2) + "\n")
    sys.exit(any(figure.missed(figures[figure.key]) for figure in FIGURES))


class Rig:
    """A Judge0 of one server and, for the length of a block, one worker."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._server = stack.start_server(QUEUE)
        self._containers = {
            "judge0-server": self._server,
            "postgres": stack.postgres,
            "valkey": stack.valkey,
        }

    @property
    def address(self) -> tuple[str, int]:
        """Where the server listens."""
        return self.stack.address(self._server), PORT

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU that each container has used so far, programs in its sandbox included, by role."""
        return {role: cpu_seconds(each) for role, each in self._containers.items()}

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A worker that has run something: what is loaded once is loaded."""
        made = self.stack.start_worker(**QUEUE)
        self._containers["judge0-worker"] = made
        run(self, 8)
        yield
        made.stop()
        self._containers.pop("judge0-worker").remove(v=True)


def measure(rig: Rig, *, seconds: float, runs: int, idle: int) -> dict[str, float]:
    """Every figure by its key. Creates come last: nobody runs those."""
    wait_until_answering(rig)
    image = rig.stack.images["judge0-worker"]
    figures = {"bare_ms": bare_run(rig.stack.engine, image, load.HELLO, runs=min(runs, 40))}
    with rig.worker():
        figures |= idle_delay(rig, idle)
        figures |= hello_worlds(rig, runs)
    figures["above_ms"] = figures["judge0-worker_ms"] - figures["bare_ms"]
    return {key: round(value, 3) for key, value in {**figures, **creates(rig, seconds)}.items()}


def wait_until_answering(rig: Rig) -> None:
    """Until the server has its databases."""

    def probe() -> None:
        try:
            asyncio.run(load.create_for(rig.address, 0.01, connections=1))
        except (OSError, EOFError) as error:
            raise NotYet(str(error)) from error

    wait_for("the server to answer", probe, deadline=READY)


def run(rig: Rig, count: int) -> list[str]:
    """So many hello-worlds as fast as they go. Raises WavetankError if one does not say hello."""
    tokens = asyncio.run(load.create_many(rig.address, count, connections=min(count, 8)))
    found = asyncio.run(load.finished(rig.address, tokens, within=READY + count / 5))
    wrong = [each for each in found if each["stdout"] != EXPECTED]
    if wrong:
        raise WavetankError(f"{len(wrong)} of {count} programs did not say hello: {wrong[0]}")
    return tokens


def idle_delay(rig: Rig, count: int) -> dict[str, float]:
    """How long a submission waits where nothing else does: from its row's transaction to the claim's."""
    tokens = asyncio.run(load.create_one_by_one(rig.address, count, pause=PAUSE))
    delays = "1000 * extract(epoch from started_at - created_at)"
    quantiles = f"percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY {delays})"
    rows = rig.stack.sql(f"SELECT unnest({quantiles}) FROM submissions WHERE {_among(tokens)}")
    return {"begun_p50_ms": float(rows[0][0]), "begun_p99_ms": float(rows[1][0])}


def hello_worlds(rig: Rig, count: int) -> dict[str, float]:
    """How many a second from the first create to the last final status, and the CPU of each container."""
    before = rig.cpu()
    tokens = run(rig, count)
    after = rig.cpu()
    length = "extract(epoch from max(finished_at) - min(created_at))"
    [[seconds]] = rig.stack.sql(f"SELECT {length} FROM submissions WHERE {_among(tokens)}")
    spent = {f"{role}_ms": 1000 * (after[role] - before[role]) / count for role in ROLES}
    return {
        "hello_per_s": count / float(seconds),
        "hello_per_two_cores": 2 * 1000 / sum(spent.values()),
        **spent,
    }


def creates(rig: Rig, seconds: float) -> dict[str, float]:
    """How many submissions a second the server takes: by the clock, and by the CPU time that it used."""
    before = rig.cpu()["judge0-server"]
    answers = asyncio.run(load.create_for(rig.address, seconds, connections=64))
    spent = rig.cpu()["judge0-server"] - before
    if set(answers) != {201}:
        raise WavetankError(f"creates were answered with {dict(answers)}, not with 201 only")
    [[kept]] = rig.stack.sql("SELECT count(*) FROM submissions WHERE status_id = 1")
    if int(kept) != answers[201]:
        raise WavetankError(f"{answers[201]} submissions were accepted, and {kept} are in the database")
    return {"creates_per_core": answers[201] / spent, "creates_per_s": answers[201] / seconds}


def _among(tokens: Sequence[str]) -> str:
    return "token IN ({})".format(", ".join(f"'{token}'" for token in tokens))


def table(figures: Mapping[str, float]) -> str:
    """The figures for people: what was measured, and what is promised."""
    lines = []
    for figure in FIGURES:
        value = figures[figure.key]
        promise = f"{figure.side} {figure.bound:g}" if figure.side else ""
        mark = "  MISSED" if figure.missed(value) else ""
        lines.append(f"{figure.words:60} {value:8.5g} {figure.unit:3} {promise}{mark}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""How a swarm takes the loss of a worker node: ``python -m tests.bench.failover``.

Worker nodes that carry tasks lose their power, one after the other, while programs are submitted at the front
door. Quantiles of how long that is felt are held against what we promise; with several heartbeats, a table
for each shows what that setting does.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from harness.core.errors import InconclusiveError, UsageError
from harness.core.signals import stopped_by_signals
from harness.faults.fault import POWER_OFF, busy_workers
from harness.faults.run import FaultContext
from harness.faults.section import COUNTS, summary
from harness.faults.trial import Trial, await_healthy, run_trial
from harness.faults.watch import Watch
from harness.run import report
from harness.run.session import Session, open_session
from harness.run.settings import STATE_DIR, Settings, choose_existing
from harness.swarm import snapshot
from harness.target.api import Api
from harness.target.target import Target
from tests.bench.up import timed

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """One time that is measured: its name in the report, in words, and what we promise of its longest."""

    key: str
    words: str
    most: float | None = None


FIGURES = (
    Figure("rto_s", "answering again after the fault", 20),
    Figure("gap_s", "longest time without an accepted answer"),
    Figure("detected_s", "shown Down after the fault"),
    Figure("full_s", "full replicas after the fault", 30),
    Figure("ready_s", "Ready after power was ordered"),
    Figure("settled_s", "all as before after power was ordered"),
)


@click.command()
@click.option("--trials", type=click.IntRange(min=1), default=20, show_default=True)
@click.option(
    "--heartbeat", metavar="S,S,...", help="Dispatcher heartbeats to try (default: the topology's)."
)
@click.option(
    "--topology", default="swarm", show_default=True, help="Topology to deploy, and to delete afterwards."
)
@click.option("--run", metavar="NAME", help="Use this running deployment instead, and keep it.")
@click.option(
    "--state-dir", type=click.Path(path_type=Path), default=STATE_DIR, help="State directory of that run."
)
@click.option("--json", "file", type=click.Path(path_type=Path), help="Also write all trials to this file.")
def main(
    *, trials: int, heartbeat: str | None, topology: str, run: str | None, state_dir: Path, file: Path | None
) -> None:
    """Measure and print a table; exit 1 if a promise is not kept."""
    wanted = seconds_of(heartbeat)
    with deployed(topology, run, state_dir) as session:
        own = session.topology.swarm.heartbeat if session.topology.swarm else 0
        found = {each: measure(session, trials, each) for each in wanted or (own,)}
    for each, result in found.items():
        click.echo(table(result, each, promised=each == own))
    if file:
        document = {"heartbeats": {str(each): result for each, result in found.items()}}
        document["environment"] = report.environment(Target("local", "", ""))
        file.write_text(json.dumps(document, indent=2) + "\n")
    sys.exit(any(missed(result, promised=each == own) for each, result in found.items()))


def seconds_of(text: str | None) -> tuple[int, ...]:
    """The heartbeats of ``1,2,5``. Raises ``UsageError``."""
    words = text.split(",") if text else []
    if not all(word.strip().isdigit() and int(word) for word in words):
        raise UsageError(f"--heartbeat {text}: write whole seconds from 1 on, like 1,2,5")
    return tuple(dict.fromkeys(int(word) for word in words))


@contextmanager
def deployed(topology: str, run: str | None, state_dir: Path) -> Iterator[Session]:
    """A deployment that is up: the named one, or one that is there for the length of the block only."""
    if run is not None:
        yield open_session(choose_existing(Settings(run=run, state_dir=state_dir)))
        return
    with tempfile.TemporaryDirectory(prefix="wavetank-bench-") as directory:
        timed(Path(directory), "up", f"--topology={topology}")
        try:
            yield open_session(choose_existing(Settings(state_dir=Path(directory))))
        finally:
            timed(Path(directory), "down")


def measure(session: Session, trials: int, heartbeat: int) -> Result:
    """So many trials at one heartbeat, as an entry of the report's ``failover``."""
    door = session.door
    if session.topology.swarm is None or door is None:
        raise UsageError(f"topology {session.topology.name} has no swarm with a front door")
    made: list[Trial] = []
    with stopped_by_signals(), Api(session.target) as api, beating(session, heartbeat):
        context = FaultContext(session, door, api)
        for number in range(1, trials + 1):
            made.append(run_trial(context, f"{POWER_OFF}:{next_node(session, made)}", number))
            click.echo(line(made[-1], number, trials), err=True)
    return {**summary(made), "nodes": list(dict.fromkeys(made_.fault.nodes[0] for made_ in made))}


def next_node(session: Session, made: Sequence[Trial]) -> str:
    """The worker node with tasks that was killed least often so far, or ``InconclusiveError``."""
    state = await_healthy(Watch(session.access, session.topology, session.deployment))
    killed = Counter(each.fault.nodes[0] for each in made)
    busy = busy_workers(session.topology, state)
    if not busy:
        raise InconclusiveError("no worker node carries tasks that could be lost")
    return min(busy, key=lambda node: killed[node])


@contextmanager
def beating(session: Session, heartbeat: int) -> Iterator[None]:
    """Have the swarm's nodes say that they live every ``heartbeat`` seconds for the length of a block."""
    own = session.topology.swarm.heartbeat if session.topology.swarm else heartbeat
    if heartbeat == own:
        yield
        return
    _beat(session, heartbeat, before=own)
    try:
        yield
    finally:
        _beat(session, own, before=heartbeat)


def _beat(session: Session, seconds: int, *, before: int) -> None:
    manager = snapshot.a_manager(session.access, session.topology)
    session.access.run(manager, f"docker swarm update --dispatcher-heartbeat {seconds}s >/dev/null")
    time.sleep(before)  # a node hears of it with the answer to its next heartbeat


def line(trial: Trial, number: int, trials: int) -> str:
    """One trial for people, as it ends."""
    found = trial.measured
    lost = trial.judgement.of("lost"), trial.judgement.of("duplicated")
    return (
        f"{number}/{trials} {trial.fault} ({', '.join(trial.carried)}): again {_s(found.rto_s)}, "
        f"full {_s(found.full_s)}, ready {_s(found.ready_s)}; {len(trial.submissions)} submitted, "
        f"{len(lost[0])} lost, {len(lost[1])} duplicated{'; ' if trial.trouble else ''}{trial.trouble}"
    )


def table(result: Result, heartbeat: int, *, promised: bool) -> str:
    """The figures of one heartbeat for people."""
    trials = len(result["trials"])
    head = f"heartbeat {heartbeat} s, {trials} times a worker node without power"
    lines = [f"{head:62} {'p50':>7} {'p95':>7} {'max':>7}   at most"]
    for figure in FIGURES:
        values = result[figure.key]
        shown = " ".join(f"{_s(values[each]):>7}" for each in ("p50", "p95", "max"))
        promise = f"{figure.most:g} s" if figure.most and promised else ""
        mark = "  MISSED" if promised and _is_over(values["max"], figure.most) else ""
        lines.append(f"  {figure.words:60} {shown}   {promise}{mark}".rstrip())
    counts = ", ".join(f"{result[each]} {each}" for each in COUNTS)
    return "\n".join([*lines, f"  submissions: {counts}"])


def missed(result: Result, *, promised: bool) -> bool:
    """Whether a submission was lost or ran twice, or, where something is promised, a time was too long."""
    late = promised and any(_is_over(result[each.key]["max"], each.most) for each in FIGURES)
    return bool(result["lost"] or result["duplicated"] or late)


def _is_over(value: float | None, most: float | None) -> bool:
    return most is not None and (value is None or value > most)


def _s(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


if __name__ == "__main__":
    main()

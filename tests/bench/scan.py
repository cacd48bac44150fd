"""Our scan side by side with other people's, accuracy included: ``python -m tests.bench.scan``.

A pair of droplets gets ports of which everything is known: open, closed, and all others filtered. Every
scanner asks all of them in the same run, on the same machine; ours asks all other pairs as well. Figures
mean something on an idle machine only. What is changed for it is put back.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import click

from harness.core import ports
from harness.core.errors import CommandError, UsageError, WavetankError
from harness.core.names import resource_name
from harness.core.ports import ALL, Ports
from harness.core.wait import NotYet, wait_for
from harness.firewall.evaluate import admitted
from harness.firewall.from_api import inspect
from harness.firewall.model import Pair
from harness.isolation.model import Observation, ScanResult
from harness.isolation.observe import observe
from harness.isolation.pairs import droplet_pairs
from harness.provision.ready import Deadlines
from harness.run import report
from harness.run.session import Session, open_session
from harness.run.settings import STATE_DIR, Settings, choose_existing
from harness.target import emulator_process
from harness.target.api import Api
from tests.bench.scanners import SCANNERS, Found, ProbeSource, Scanner, missing, port_set, probe_source
from tests.bench.up import timed

T = TypeVar("T")

SEED = 20_000
EACH = 12
MOST_SECONDS = 12.0  # promised: all pairs of droplets, two passes, both witnesses
OURS = "wavetank"
LISTENERS = """
import socket, sys
held = [socket.create_server((sys.argv[1], int(port)), backlog=4096) for port in sys.argv[2].split(",")]
print("ready", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Truth:
    """A pair, and what is known of it: the ports that are open, closed; all others are filtered."""

    pair: Pair
    open: Ports
    closed: Ports

    def false(self, found: Found) -> int:
        """On how many ports a scanner is wrong, those it missed among them."""
        wrong = [_differ(self.open, found.open)]
        if found.closed is not None:
            wrong.append(_differ(self.closed, found.closed))
        return ports.size(ports.union(*wrong))


@dataclass(frozen=True)
class Row:
    """One scanner's figures: a value for each repetition. ``note`` says why there are none."""

    tool: str
    options: str
    pairs: int
    seconds: tuple[float, ...] = ()
    cpu_seconds: tuple[float, ...] = ()
    open: tuple[int, ...] = ()
    closed: tuple[int, ...] | None = ()
    false: tuple[int, ...] = ()
    note: str = ""


@click.command()
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Number of scans with Wavetank.",
)
@click.option(
    "--others",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Number of scans with each other tool.",
)
@click.option(
    "--limit",
    type=float,
    default=180.0,
    show_default=True,
    help="Time limit of a scan with another tool, in seconds.",
)
@click.option("--topology", default="standard", show_default=True)
@click.option("--run", "run", help="Use this running deployment instead of creating one.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="State directory of that run.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Also write all figures to this file.")
def main(
    *,
    repeat: int,
    others: int,
    limit: float,
    topology: str,
    run: str | None,
    state_dir: Path | None,
    file: Path | None,
) -> None:
    """Measure and print a table; exit 1 where ours was wrong, or slower than promised."""
    try:
        with deployed(topology, run, state_dir) as (session, state), seeded(session) as truth:
            load = os.getloadavg()[0]
            measured = [*ours(session, truth, repeat), *theirs(session, truth, state, others, limit)]
            environment = {**report.environment(session.target), "load_before": load}
    except WavetankError as error:
        click.echo(f"bench-scan: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(table(measured, truth))
    click.echo(f"{environment['cores']} cores, kernel {environment['kernel']}, load {load:.1f} before")
    if file:
        document = {"rows": [asdict(each) for each in measured], "environment": environment}
        file.write_text(json.dumps({**document, "truth": asdict(truth)}, indent=2) + "\n")
    whole = measured[0]
    sys.exit(any(any(each.false) for each in measured[:2]) or median(whole.seconds) > MOST_SECONDS)


@contextmanager
def deployed(topology: str, run: str | None, state_dir: Path | None) -> Iterator[tuple[Session, Path]]:
    """A deployment in the emulator, ours for the block or the one that is named; and its state directory."""
    if run:
        yield _found(run, state_dir), (state_dir or STATE_DIR).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="wavetank-bench-") as directory:
        own = Path(directory)
        try:
            timed(own, "up", f"--topology={topology}", "--run=bench")
            session = _found("bench", own)
            yield session, own
            session.access.close()
        finally:
            emulator_process.stop(own, destroy=True)


def _found(run: str, state_dir: Path | None) -> Session:
    return open_session(choose_existing(Settings(run=run, target="local", state_dir=state_dir or STATE_DIR)))


@contextmanager
def seeded(session: Session) -> Iterator[Truth]:
    """Open some ports between two droplets that have nothing to do with one another, half with a listener."""
    pair = outsiders(session)
    numbers = random.Random(SEED).sample(range(1024, 60_000), 2 * EACH)
    truth = Truth(pair, port_set(numbers[:EACH]), port_set(numbers[EACH:]))
    with Api(session.target) as api:
        made = []
        try:
            for body in _rules(session, pair, sorted(numbers)):
                made.append(api.client.firewalls.create(body=body)["firewall"]["id"])  # noqa: PERF401 (may fail)
            wait_for("the rules", lambda: _applied(api, made), deadline=Deadlines().firewalls)
            with _listening(session, truth):
                yield truth
        finally:
            for each in made:
                api.client.firewalls.delete(each)


def outsiders(session: Session) -> Pair:
    """The first pair between which nothing is meant to pass. Raises ``UsageError`` if there is none."""
    bastion = session.topology.management.bastion
    meant = {(flow.source, flow.destination) for flow in session.topology.intent}
    for pair in droplet_pairs(session.topology):
        if pair.source != bastion and (pair.source, pair.target) not in meant and pair.target != bastion:
            return pair
    raise UsageError("every two droplets of this topology may talk: none is left to be seeded")


def _rules(session: Session, pair: Pair, numbers: Sequence[int]) -> list[dict[str, object]]:
    source, target = (session.deployment.nodes[name].id for name in (pair.source, pair.target))
    made: list[dict[str, object]] = []
    for side, peers, own, other in (
        ("outbound", "destinations", source, target),
        ("inbound", "sources", target, source),
    ):
        rules = [
            {"protocol": "tcp", "ports": str(number), peers: {"droplet_ids": [other]}} for number in numbers
        ]
        name = resource_name(session.deployment.run, f"bench-{side}")
        made.append({"name": name, f"{side}_rules": rules, "droplet_ids": [own]})
    return made


def _applied(api: Api, made: Sequence[str]) -> None:
    for each in made:
        firewall = api.client.firewalls.get(each)["firewall"]
        if firewall["status"] != "succeeded" or firewall.get("pending_changes"):
            raise NotYet(f"{firewall['name']} is {firewall['status']}")


@contextmanager
def _listening(session: Session, truth: Truth) -> Iterator[None]:
    """Listeners on the target's private address, for as long as their ssh lives."""
    node = session.deployment.nodes[truth.pair.target]
    session.access.run(node.name, "true")
    listed = ",".join(str(number) for number, _ in _single(truth.open))
    argv = session.access.argv(node.name, ["python3", "-Ic", LISTENERS, str(node.private_ip), listed])
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "ready\n":
                raise CommandError(argv, process.wait(), "no listeners")
            yield
        finally:
            process.kill()


def ours(session: Session, truth: Truth, repeat: int) -> list[Row]:
    """All pairs of droplets, and the seeded one alone."""
    with Api(session.target, read_only=True) as api:
        network = inspect(api, session.topology, session.deployment.run)

    def false(result: ScanResult) -> int:
        if result.pair == truth.pair:
            return truth.false(Found(result.open, result.closed))
        return ports.size(_differ(result.reachable, admitted(network, result.pair, "tcp")))

    def row(pairs: Sequence[Pair]) -> Row:
        def scan() -> Observation:
            return observe(
                session.target, session.deployment, session.access, pairs, tcp=ALL, icmp=False, passes=2
            )

        runs = [measure(scan) for _ in range(repeat)]
        seeded = [next(each for each in one.results if each.pair == truth.pair) for one, _, _ in runs]
        doubtful = sum(ports.size(each.inconclusive) for one, _, _ in runs for each in one.results)
        return Row(
            OURS,
            f"2 passes, witnesses: {', '.join(runs[0][0].evidence_sources)}",
            len(pairs),
            tuple(seconds for _, seconds, _ in runs),
            tuple(cpu for _, _, cpu in runs),
            tuple(ports.size(ports.intersect(each.open, truth.open)) for each in seeded),
            tuple(ports.size(ports.intersect(each.closed, truth.closed)) for each in seeded),
            tuple(sum(false(each) for each in one.results) for one, _, _ in runs),
            f"{doubtful} ports inconclusive" if doubtful else "",
        )

    return [row(droplet_pairs(session.topology)), row([truth.pair])]


def theirs(session: Session, truth: Truth, state: Path, repeat: int, limit: float) -> Iterator[Row]:
    """The seeded pair by every other scanner, from inside the source's network."""
    if not repeat:
        return
    source, target = (session.deployment.nodes[name] for name in (truth.pair.source, truth.pair.target))
    at = probe_source(
        emulator_process.directory(state),
        source.id,
        str(source.private_ip),
        str(target.private_ip),
        session.deployment.vpc_range,
        limit=limit,
    )
    for scanner in SCANNERS:
        yield _row(scanner, at, truth, repeat)


def _row(scanner: Scanner, at: ProbeSource, truth: Truth, repeat: int) -> Row:
    if why := missing(scanner):
        return Row(scanner.tool, scanner.options, 1, note=why)
    try:
        runs = [measure(lambda: scanner.scan(at, scanner.options.split())) for _ in range(repeat)]
    except CommandError as error:
        return Row(scanner.tool, scanner.options, 1, note=str(error).splitlines()[-1][:100])
    found = [each for each, _, _ in runs]
    closed = [each.closed for each in found if each.closed is not None]
    return Row(
        scanner.tool,
        scanner.options,
        1,
        tuple(seconds for _, seconds, _ in runs),
        tuple(cpu for _, _, cpu in runs),
        tuple(ports.size(ports.intersect(each.open, truth.open)) for each in found),
        tuple(ports.size(ports.intersect(each, truth.closed)) for each in closed) or None,
        tuple(truth.false(each) for each in found),
    )


def measure(call: Callable[[], T]) -> tuple[T, float, float]:
    """What a call returns, its seconds, and the CPU seconds that the whole machine spent meanwhile."""
    started, busy = time.monotonic(), _busy()
    result = call()
    return result, round(time.monotonic() - started, 2), round(_busy() - busy, 2)


def _busy() -> float:
    """CPU seconds that this machine has spent on anything, its kernel's work for others included."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(ticks[:8]) - ticks[3] - ticks[4]) / 100


def _differ(one: Ports, other: Ports) -> Ports:
    return ports.union(ports.subtract(one, other), ports.subtract(other, one))


def _single(wanted: Ports) -> Iterator[tuple[int, int]]:
    return ((port, port) for first, last in wanted for port in range(first, last + 1))


def table(rows: Sequence[Row], truth: Truth) -> str:
    """The figures for people: seconds as min / median / max where there are several."""
    opened, closed = ports.size(truth.open), ports.size(truth.closed)
    lines = [
        f"{'tool':10} {'options':44} {'pairs':>5} {'seconds':>20} {'CPU s':>7} "
        f"{f'open of {opened}':>10} {f'closed of {closed}':>12} {'false':>6}"
    ]
    for each in rows:
        if not each.seconds:
            lines.append(f"{each.tool:10} {each.options:44} {each.pairs:5} {each.note}")
            continue
        shown = "-" if each.closed is None else _span(each.closed)
        lines.append(
            f"{each.tool:10} {each.options:44} {each.pairs:5} {_spread(each.seconds):>20} "
            f"{median(each.cpu_seconds):7.1f} {_span(each.open):>10} {shown:>12} {_span(each.false):>6}"
            f"{'  ' + each.note if each.note else ''}"
        )
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{min(values):.1f} / {median(values):.1f} / {max(values):.1f}"


def _span(values: Sequence[int]) -> str:
    return str(values[0]) if min(values) == max(values) else f"{min(values)}-{max(values)}"


if __name__ == "__main__":
    main()

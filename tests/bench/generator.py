"""Our load generator side by side with wrk, hey and Locust: ``python -m tests.bench.generator``.

Generators run on one core, the server on another. Three questions: is it on time at high rates, do its
percentiles agree with wrk's, and what does each tool say of a server that stood still for a second? Figures
of time mean something on an idle machine only.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from harness.core.errors import WavetankError
from harness.run import report
from harness.target.target import Target
from tests.bench.generator_servers import nginx, slow, stopped
from tests.bench.generator_tools import QUANTILES, TOOLS, Figures, Job, figures

LATE_MS, LATE_RATE = 0.2, 20_000
AGREE = 0.05
CLOSED_CONNECTIONS = 64
KNOWN_CONNECTIONS = 16
# Coordinated omission: a tenth of all arrivals fall into the stop, the last hundredth waits 0.9 s or more.
STALL_RATE, STALL_SECONDS, STALL, STALL_CONNECTIONS = 1000.0, 10.0, 1.0, 16
RIGHT_MS = 900.0


@dataclass(frozen=True)
class Row:
    """One run: which question it is for, what was asked, what the tool says."""

    question: str
    rate: float
    connections: int
    figures: Figures


@dataclass(frozen=True)
class Site:
    """Where things run: what is put before commands of the generators and of servers."""

    tools: tuple[str, ...]
    generator: tuple[str, ...]
    server: tuple[str, ...]
    seconds: float


@click.command()
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=10.0, show_default=True, help="Duration of each run."
)
@click.option("--rates", default="1000,5000,20000", show_default=True, help="Arrivals a second, open loop.")
@click.option("--tools", default=",".join(TOOLS), show_default=True)
@click.option("--json", "file", type=click.Path(path_type=Path), help="Also write all figures to this file.")
def main(*, seconds: float, rates: str, tools: str, file: Path | None) -> None:
    """Measure and print tables; exit 1 where ours was late, disagreed with wrk, or missed the stop."""
    wanted = _tools(tools)
    cores = sorted(os.sched_getaffinity(0))
    pins = [("taskset", "-c", str(core)) for core in (cores[0], cores[-1])] if len(cores) > 1 else [(), ()]
    load = os.getloadavg()[0]
    try:
        rows = measure(Site(wanted, pins[0], pins[1], seconds), _rates(rates))
    except WavetankError as error:
        click.echo(f"bench-generator: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(table(rows))
    verdicts = judge(rows)
    for words, held in verdicts:
        click.echo(f"{'ok    ' if held else 'MISSED'} {words}")
    environment = {**report.environment(Target("local", "", "")), "load_before": load}
    click.echo(f"{environment['cores']} cores, kernel {environment['kernel']}, load {load:.1f} before")
    if file:
        judged = [{"told": words, "held": held} for words, held in verdicts]
        document = {"rows": [asdict(row) for row in rows], "verdicts": judged, "environment": environment}
        file.write_text(json.dumps(document, indent=2) + "\n")
    sys.exit(not all(held for _, held in verdicts))


def measure(site: Site, rates: Sequence[float]) -> list[Row]:
    """All runs, one after the other."""
    with tempfile.TemporaryDirectory(prefix="wavetank-bench-") as directory:
        with nginx(Path(directory), site.server) as (port, process):
            rows = list(_on_time(site, port, rates))
            rows += _fast(site, port)
            for tool in site.tools:
                with stopped(process, STALL_SECONDS / 2, STALL):
                    rows.append(
                        _row("stop", tool, Job(port, STALL_SECONDS, STALL_CONNECTIONS, STALL_RATE), site)
                    )
        with slow(site.server) as port:
            rows += [
                _row("known", tool, Job(port, site.seconds, KNOWN_CONNECTIONS), site) for tool in site.tools
            ]
    return rows


def _on_time(site: Site, port: int, rates: Sequence[float]) -> Iterator[Row]:
    if "wavetank" in site.tools:
        for rate in rates:
            yield _row("open", "wavetank", Job(port, site.seconds, 256, rate), site)


def _fast(site: Site, port: int) -> Iterator[Row]:
    for tool in site.tools:
        yield _row("closed", tool, Job(port, site.seconds, CLOSED_CONNECTIONS), site)


def _row(question: str, tool: str, job: Job, site: Site) -> Row:
    return Row(question, job.rate, job.connections, figures(tool, job, site.generator))


def judge(rows: Sequence[Row]) -> list[tuple[str, bool]]:
    """What is promised of ours, in words, and whether it held. Nothing is said of what was not measured."""
    return [*_late(rows), *_agreement(rows), *_stop(rows)]


def _late(rows: Sequence[Row]) -> Iterator[tuple[str, bool]]:
    for row in rows:
        late = row.figures.late_ms
        if row.question == "open" and row.rate == LATE_RATE and late:
            words = f"at {row.rate:,.0f}/s, 99 in 100 were sent within {late[1]:.3f} ms of when they were due"
            yield f"{words} (at most {LATE_MS:g})", late[1] <= LATE_MS and not row.figures.errors


def _agreement(rows: Sequence[Row]) -> Iterator[tuple[str, bool]]:
    known = {row.figures.tool: row.figures for row in rows if row.question == "known" and row.figures.rate}
    if {"wavetank", "wrk"} <= known.keys():
        pairs = zip(QUANTILES, known["wavetank"].ms, known["wrk"].ms, strict=True)
        differ = {quantile: mine / theirs - 1 for quantile, mine, theirs in pairs}
        words = ", ".join(f"p{quantile * 100:g} {each:+.1%}" for quantile, each in differ.items())
        held = all(abs(each) <= AGREE for each in differ.values())
        yield f"percentiles beside wrk's: {words} (at most {AGREE:.0%})", held


def _stop(rows: Sequence[Row]) -> Iterator[tuple[str, bool]]:
    for row in rows:
        if row.question == "stop" and row.figures.tool == "wavetank" and row.figures.rate:
            p99 = row.figures.ms[2]
            words = f"a stop of {STALL:g} s under {STALL_RATE:,.0f}/s shows as a p99 of {p99:.0f} ms"
            yield f"{words} (right: about {RIGHT_MS:.0f})", abs(p99 / RIGHT_MS - 1) <= AGREE


TITLES = {
    "open": "on time: open loop on nginx",
    "closed": f"throughput: closed loop on nginx, {CLOSED_CONNECTIONS} connections, one core",
    "stop": f"coordinated omission: {STALL_RATE:,.0f}/s for {STALL_SECONDS:g} s, stopped for {STALL:g} s",
    "known": f"percentiles: closed loop, {KNOWN_CONNECTIONS} connections, a server of known latency",
}


def table(rows: Sequence[Row]) -> str:
    """The figures for people, a table for each question."""
    lines = []
    for question, title in TITLES.items():
        mine = [row for row in rows if row.question == question]
        if mine:
            lines += [title, _HEAD, *map(_line, mine), ""]
    return "\n".join(lines)


_HEAD = (
    f"  {'tool':10} {'asked/s':>8} {'done/s':>9} {'p50 ms':>9} {'p90 ms':>9} {'p99 ms':>9} {'CPU us':>7}"
    f" {'errors':>6} {'late p50 / p99 ms':>18}"
)


def _line(row: Row) -> str:
    figures = row.figures
    asked = f"{row.rate:,.0f}" if row.rate else "-"
    if figures.note:
        return f"  {figures.tool:10} {asked:>8} {figures.note}"
    late = f"{figures.late_ms[0]:.3f} / {figures.late_ms[1]:.3f}" if figures.late_ms and row.rate else "-"
    ms = " ".join(f"{each:9.3f}" for each in figures.ms)
    head = f"  {figures.tool:10} {asked:>8} {figures.rate:9,.0f}"
    return f"{head} {ms} {figures.cpu_us:7.1f} {figures.errors:6} {late:>18}"


def _tools(text: str) -> tuple[str, ...]:
    wanted = tuple(each.strip() for each in text.split(",") if each.strip())
    if not wanted or (unknown := set(wanted) - TOOLS.keys()):
        named = ", ".join(sorted(unknown)) if wanted else "none"
        raise click.BadParameter(f"{named}: take some of {', '.join(TOOLS)}", param_hint="--tools")
    return wanted


def _rates(text: str) -> list[float]:
    try:
        rates = [float(each) for each in text.split(",")]
    except ValueError:
        rates = [0.0]
    if min(rates) <= 0:
        raise click.BadParameter(f"{text!r}: take rates above 0, like 1000,20000", param_hint="--rates")
    return rates


if __name__ == "__main__":
    main()

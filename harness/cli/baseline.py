"""``wavetank baseline``: save load results to compare later results with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli import options

FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def baseline() -> None:
    """Save and show the results that `wavetank gate` compares with: a file for your repository."""


@baseline.command()
@options.common
@click.argument("file", type=FILE)
@click.option("--from", "report_file", type=FILE, help="The report.json to save. Default: the run's.")
@click.option(
    "--force",
    "forced",
    metavar="REASON",
    default="",
    help="Save results that did not pass, too; REASON is saved with them.",
)
@options.output
def save(file: Path, report_file: Path | None, forced: str, output: str, **common: Any) -> int:
    """Save the load results of a report in FILE; refuses partial, inconclusive and failed results."""
    from harness.gate import baseline as baselines
    from harness.gate.environment import topology_sha256
    from harness.gate.reading import read_baseline, read_report
    from harness.gate.run import topology_of
    from harness.run import settings

    given = common["topology"]
    if report_file is None:
        choice = settings.choose_existing(options.settings(common))
        report_file, given = choice.run_dir.report, choice.topology
    report = read_report(report_file)
    topology = topology_sha256(topology_of(report, given, report_file))
    document = baselines.make(report, where=str(report_file), topology=topology, forced=forced.strip())
    baselines.save(file, document)
    options.show(document, f"{baselines.show(read_baseline(file))}\nsaved in {file}", output)
    return 0


@baseline.command()
@click.argument("file", type=FILE)
@options.output
def show(file: Path, output: str) -> int:
    """Show the content of a baseline FILE."""
    from harness.gate import baseline as baselines
    from harness.gate.reading import read_baseline

    found = read_baseline(file)
    options.show(found.model_dump(by_alias=True), baselines.show(found), output)
    return 0

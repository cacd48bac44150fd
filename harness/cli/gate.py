"""``wavetank gate``: the quality gate, checks and load judged as one exit code for CI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.core.errors import UsageError

if TYPE_CHECKING:
    from harness.gate.comparison import BaselineFile
    from harness.gate.model import Gate

FILE = click.Path(path_type=Path, dir_okay=False)
# As many on each side as it takes to show a shift of one metric among four: harness.load.stats.compare.
REPETITIONS = 5


@click.command()
@options.common
@click.option(
    "--baseline", "baseline_file", type=FILE, help="Compare with the results in this file of `baseline save`."
)
@click.option(
    "--accept-environment",
    is_flag=True,
    help="Compare even if the baseline was measured in another environment.",
)
@click.option("--from", "report_file", type=FILE, help="Judge this report.json; run nothing.")
@click.option(
    "--repetitions",
    type=click.IntRange(min=2),
    default=REPETITIONS,
    show_default=True,
    help="How often to repeat the load.",
)
@click.option(
    "--verify/--no-verify", default=True, help="Run the checks first, and judge them. Default: --verify."
)
@click.option(
    "--junit", "junit_file", type=FILE, help="Write JUnit XML to this file, one test case per judgement."
)
@click.option(
    "--markdown", "markdown_file", type=FILE, help="Append a summary for a pull request to this file."
)
@options.output
def gate(
    *,
    baseline_file: Path | None,
    accept_environment: bool,
    report_file: Path | None,
    repetitions: int,
    verify: bool,
    junit_file: Path | None,
    markdown_file: Path | None,
    output: str,
    **common: Any,
) -> int:
    """Run the quality gate; exit 0 pass, 1 fail, 2 inconclusive.

    Runs the checks and the load, and judges both against the topology's objectives and a baseline.
    """
    from harness.gate.comparison import read_baseline_file
    from harness.gate.document import document
    from harness.gate.run import from_report
    from harness.gate.text import text
    from harness.run.report import exit_code

    if accept_environment and baseline_file is None:
        raise UsageError("--accept-environment needs a baseline: give it with --baseline")
    held = read_baseline_file(baseline_file, accept=accept_environment) if baseline_file else None
    if report_file is not None:
        judged = from_report(report_file, common["topology"], held, checks=verify)
    else:
        judged = _run(common, held, repetitions=repetitions, verify=verify)
    _write(judged, junit_file, markdown_file)
    options.show(document(judged), text(judged), output)
    return exit_code(judged.verdict)


def _run(common: dict[str, Any], held: BaselineFile | None, *, repetitions: int, verify: bool) -> Gate:
    from harness.core.progress import Progress
    from harness.gate.run import GateSteps, run
    from harness.load.experiments.gated import measure_for_gate
    from harness.run import settings
    from harness.verify.runner import run_checks

    choice = settings.choose_existing(options.settings(common))
    steps = GateSteps(measure_for_gate, run_checks if verify else None, repetitions, Progress())
    return run(choice, held, steps)


def _write(judged: Gate, junit_file: Path | None, markdown_file: Path | None) -> None:
    """JUnit replaces the file's content; Markdown is appended to it, as CI's summaries need it."""
    from harness.gate.junit import junit
    from harness.gate.markdown import markdown

    for file, mode, made in ((junit_file, "w", junit), (markdown_file, "a", markdown)):
        if file is None:
            continue
        try:
            with file.open(mode, encoding="utf-8") as stream:
                stream.write(made(judged))
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}") from error

"""``wavetank verify``: run the checks against a deployment."""

from __future__ import annotations

from typing import Any

import click

from harness.cli import options


@click.command()
@options.reading
@options.keyword
@options.faults
@options.output
def verify(keyword: str | None, faults: bool | None, output: str, **common: Any) -> int:
    """Run the checks against the deployment; exit 0 pass, 1 a check failed, 2 inconclusive.

    With --existing only the checks that change nothing are run.
    """
    from harness.run import report, settings
    from harness.verify.runner import run_checks

    choice = settings.choose_existing(options.settings(common))
    code = run_checks(choice, keyword=keyword, faults=faults)
    written = report.read(choice.run_dir)
    options.show(written, report.summary(written), output)
    return code

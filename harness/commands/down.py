"""``wavetank down`` and ``wavetank sweep``: take away one run, or whatever was left behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from harness.commands import options
from harness.commands.duration import DURATION


@click.command()
@options.common
@options.output
def down(output: str, **common: Any) -> int:
    """Take the deployment away and prove that nothing of it is left."""
    from harness import runlock, settings
    from harness import up as flow
    from harness.progress import Progress

    given, progress = options.settings(common), Progress()
    choice = settings.choose_existing(given)
    runlock.await_turn(choice.run_dir, progress)
    if not settings.is_nowhere(given, choice.target):
        with runlock.held(choice.run_dir):
            flow.down(settings.resolve_existing(choice, progress), choice.run_dir, progress)
    document = {"run": choice.run, "target": choice.target, "timings": progress.timings}
    options.show(document, f"{choice.run} is gone from {choice.target}", output)
    return 0


@click.command()
@options.common
@click.option("--older-than", type=DURATION, required=True, help="Only runs at least this old, as 2h or 30m.")
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@options.output
def sweep(older_than: timedelta, dry_run: bool, output: str, **common: Any) -> int:
    """Take away whatever earlier runs left behind on the target, whoever made it."""
    from harness import runlock, settings
    from harness import sweep as flow
    from harness.progress import Progress
    from harness.rundir import RunDir
    from harness.up import stop_if_empty

    given, progress = options.settings(common), Progress()
    target = settings.resolve(given, given.target or "local", progress)

    def is_busy(run: str) -> bool:
        return runlock.is_worked_on(RunDir(given.state_dir, run))

    swept = flow.sweep(target, older_than, dry_run=dry_run, is_busy=is_busy, progress=progress)
    stop_if_empty(target, given.state_dir, progress)
    document = {"target": target.name, "dry_run": dry_run, "runs": list(swept)}
    options.show(document, "\n".join(swept) or "nothing to sweep", output)
    return 0

"""``wavetank down`` and ``wavetank sweep``: delete one run, or all that earlier runs left behind."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.cli.consent import as_document, deletion_confirmation
from harness.cli.duration import DURATION

if TYPE_CHECKING:
    from harness.core.progress import Progress
    from harness.provision import Item
    from harness.run.settings import Choice, Settings

yes = click.option("--yes", is_flag=True, help="Do not ask before deleting resources on a cloud.")


@click.command()
@options.common
@yes
@click.option("--force", is_flag=True, help="Delete the run even if somebody else is using it.")
@options.output
def down(yes: bool, force: bool, output: str, **common: Any) -> int:
    """Delete the deployment and verify that nothing of it is left."""
    from harness.core.progress import Progress
    from harness.run import lock, settings

    given, progress = options.settings(common), Progress()
    choice = settings.choose_existing(given)
    lock.wait_until_free(choice.run_dir, progress)
    removed: tuple[Item, ...] = ()
    if not settings.is_nowhere(given, choice.target):
        with lock.locked(choice.run_dir):
            removed = _down(choice, progress, yes=yes, force=force)
    elif not choice.run_dir.path.is_dir():
        raise settings.no_such_run(choice, ())
    document = {
        "run": choice.run,
        "target": choice.target,
        "removed": [as_document(each) for each in removed],
        "timings": progress.timings,
    }
    options.show(document, f"{choice.run} is gone from {choice.target}", output)
    return 0


def _down(choice: Choice, progress: Progress, *, yes: bool, force: bool) -> tuple[Item, ...]:
    from harness import provision
    from harness.run import settings
    from harness.run import up as flow

    target = settings.resolve_existing(choice, progress, lease=False)
    there = provision.runs(target)
    if choice.run not in there and not choice.run_dir.path.is_dir():
        flow.stop_if_empty(target, choice.run_dir.state_dir, progress)
        raise settings.no_such_run(choice, there)
    return flow.down_alone(
        target, choice.run_dir, progress, deletion_confirmation(target.name, yes=yes), force=force
    )


@click.command()
@options.common
@click.option(
    "--older-than", type=DURATION, required=True, help="Delete only runs at least this old, like 2h or 30m."
)
@click.option("--dry-run", is_flag=True, help="Show what would be deleted; delete nothing.")
@yes
@options.output
def sweep(older_than: timedelta, dry_run: bool, yes: bool, output: str, **common: Any) -> int:
    """Delete what earlier runs left behind on the target, no matter who made it."""
    from harness.core.errors import UsageError
    from harness.core.progress import Progress
    from harness.run import settings
    from harness.run import sweep as flow
    from harness.run.up import stop_if_empty

    given, progress = options.settings(common), Progress()
    target = settings.resolve(given, given.target or "local", progress)
    swept = flow.sweep(
        target,
        older_than,
        dry_run=dry_run,
        is_busy=lambda run: _is_busy(given, run),
        agree=deletion_confirmation(target.name, yes=yes, show=False),
        progress=progress,
    )
    stop_if_empty(target, given.state_dir, progress)
    document = {
        "target": target.name,
        "dry_run": dry_run,
        "runs": swept.runs,
        "resources": [
            {"run": found.run, **as_document(each)} for found in swept.gone for each in found.items
        ],
        "left": [{"run": run, "reason": why} for run, why in swept.left.items()],
    }
    options.show(document, "\n".join(swept.runs) or "nothing to sweep", output)
    return UsageError.exit_code if swept.blocked and not dry_run else 0


def _is_busy(given: Settings, run: str) -> bool:
    from harness.run import lock
    from harness.run.rundir import RunDir

    return lock.is_in_use(RunDir(given.state_dir, run))

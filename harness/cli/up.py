"""``wavetank up``: create a deployment, or bring it up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.cli.consent import cost_confirmation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.core.progress import Progress
    from harness.run.up import Prepared, Started
    from harness.topology.rendering.upstreams import Changed


@click.command()
@options.common
@options.yes
@options.max_cost
@click.option("--dry-run", is_flag=True, help="Show what would change and why; change nothing.")
@click.option("--keep", is_flag=True, help="On failure, keep what was created for inspection.")
@options.output
def up(yes: bool, max_cost: float | None, dry_run: bool, keep: bool, output: str, **common: Any) -> int:
    """Create the topology's resources and deploy the application, or change only what differs."""
    from harness.core.progress import Progress
    from harness.run import up as flow

    settings, progress = options.settings(common), Progress()
    if dry_run:
        with flow.emulator_removed_on_failure(settings, progress):
            prepared = flow.prepare(settings, progress)
            known, files = flow.changed_files(prepared)
        flow.stop_if_empty(prepared.target, settings.state_dir, progress)
        return _dry_run(prepared, files, output, made_up=not known)
    consent = cost_confirmation(settings.target or "local", yes=yes, max_cost=max_cost)
    started = flow.up(settings, consent, progress, keep="always" if keep else "never", alone=True)
    flow.release(started.guard)
    _show(started, progress, output)
    return 0


def _dry_run(prepared: Prepared, files: Sequence[Changed], output: str, *, made_up: bool) -> int:
    changes = [
        {"action": each.action, "kind": each.kind, "name": each.name, "reason": each.reason}
        for each in prepared.plan.changes
    ]
    lines = [f"{each['action']:7} {each['kind']} {each['name']}: {each['reason']}" for each in changes]
    lines += [f"\n{each.diff.rstrip()}" for each in files]
    if files and made_up:
        lines.append("\n# not deployed: the addresses in these files are made up")
    document = {
        "run": prepared.choice.run,
        "target": prepared.choice.target,
        "changes": changes,
        "files": [
            {"service": each.service, "nodes": list(each.nodes), "file": each.name, "diff": each.diff}
            for each in files
        ],
    }
    options.show(document, "\n".join((f"run {prepared.choice.run}", *lines)), output)
    return 0


def _show(started: Started, progress: Progress, output: str) -> None:
    deployment, choice = started.deployment, started.choice
    document = {
        "run": deployment.run,
        "target": choice.target,
        "topology": started.topology.name,
        "changes": [
            f"{each.action} {each.kind} {each.name}" for each in started.plan.changes if each.action != "keep"
        ],
        "deployed": list(started.changed),
        "timings": progress.timings,
        "report": str(choice.run_dir.report),
    }
    changed = len(document["changes"]) + len(document["deployed"])
    text = (
        f"{deployment.run} is up on {choice.target}; {changed or 'no'} changes; report: {document['report']}"
    )
    options.show(document, text, output)

"""``wavetank run``: everything in one go, for ``make local`` and continuous integration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.commands import options
from harness.commands.consent import asker

if TYPE_CHECKING:
    from harness.up import Keep


@click.command()
@options.common
@options.yes
@options.max_cost
@click.option(
    "--keep",
    type=click.Choice(["on-failure", "always", "never"]),
    default="on-failure",
    show_default=True,
    envvar="KEEP",
    show_envvar=True,
    help="When to leave the deployment up afterwards.",
)
@options.keyword
@options.faults
@options.output
def run(
    *,
    yes: bool,
    max_cost: float | None,
    keep: Keep,
    keyword: str | None,
    faults: bool | None,
    output: str,
    **common: Any,
) -> int:
    """Stand the topology up, check it, write the report, and take it down again (see --keep)."""
    from harness import report
    from harness import run as flow
    from harness.progress import Progress

    settings, progress = options.settings(common), Progress()
    consent = asker(settings.target or "local", yes=yes, max_cost=max_cost)
    written, code = flow.run(settings, consent, progress, keep=keep, keyword=keyword, faults=faults)
    text = f"{report.summary(written)}\n{settings.state_dir / 'runs' / written['run'] / 'report.json'}"
    options.show(written, text, output)
    return code

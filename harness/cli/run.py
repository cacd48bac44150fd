"""``wavetank run``: up, verify, report and down in one command, for ``make local`` and CI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.cli.consent import cost_confirmation

if TYPE_CHECKING:
    from harness.core.progress import Progress
    from harness.run.settings import Settings
    from harness.run.up import Keep


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
    help="When to keep the deployment afterwards.",
)
@click.option(
    "--isolation",
    type=click.Choice(["user-namespace", "vm"]),
    default="user-namespace",
    show_default=True,
    help="Isolation between droplets and this machine, see SECURITY.md. `vm` takes half an hour.",
)
@options.keyword
@options.faults
@options.output
def run(
    *,
    yes: bool,
    max_cost: float | None,
    keep: Keep,
    isolation: str,
    keyword: str | None,
    faults: bool | None,
    output: str,
    **common: Any,
) -> int:
    """Deploy the topology, run the checks, write the report, and delete the deployment (see --keep)."""
    from harness.core.progress import Progress
    from harness.run import report
    from harness.run import run as flow

    settings, progress = options.settings(common), Progress()
    if isolation == "vm":
        return _in_virtual_machine(settings, progress, keyword=keyword, faults=faults)
    consent = cost_confirmation(settings.target or "local", yes=yes, max_cost=max_cost)
    written, code = flow.run(settings, consent, progress, keep=keep, keyword=keyword, faults=faults)
    text = f"{report.summary(written)}\n{settings.state_dir / 'runs' / written['run'] / 'report.json'}"
    options.show(written, text, output)
    return code


def _in_virtual_machine(
    settings: Settings, progress: Progress, *, keyword: str | None, faults: bool | None
) -> int:
    """The same in a virtual machine, which ends with the run. Its report is copied out."""
    from harness.core.errors import UsageError
    from harness.vm.flow import CHECKS, Order
    from harness.vm.flow import run as run_there

    if settings.target not in (None, "local"):
        raise UsageError(f"--isolation vm is for --target local: droplets of {settings.target} are not here")
    if settings.app or settings.run:
        raise UsageError(
            "--isolation vm takes the topology's own application and a new run: no --app, no --run"
        )
    order = Order(
        settings.topology or "standard",
        settings.state_dir.resolve(),
        keyword=keyword or CHECKS,
        faults=faults,
    )
    return run_there(order, progress)

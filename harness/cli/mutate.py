"""``wavetank mutate``: mutation testing of the checks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.core.errors import UsageError
from harness.mutation.kinds import KINDS, Kind

if TYPE_CHECKING:
    from harness.run.settings import Choice


@click.command()
@options.common
@click.option(
    "--only", "kinds", multiple=True, type=click.Choice(KINDS), help="Only mutants of this kind. Repeatable."
)
@click.option("-k", "keyword", metavar="TEXT", default="", help="Only mutants with TEXT in their name.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Only N mutants, chosen at random.")
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed for --sample.")
@click.option("--yes", is_flag=True, help="Do not ask before weakening a deployment on a cloud.")
@options.output
def mutate(
    *,
    kinds: tuple[Kind, ...],
    keyword: str,
    sample: int | None,
    seed: int,
    yes: bool,
    output: str,
    **common: Any,
) -> int:
    """Break rules and services on purpose, and see if it is detected; exit 0 if all mutants were killed.

    Mutants of rules must be detected by packets, faults in the deployment (--only relay, ...) by a check.
    """
    from harness.core.progress import Progress
    from harness.mutation import run as flow
    from harness.mutation.section import exit_code, summary
    from harness.mutation.selection import Selection
    from harness.run import settings

    choice = settings.choose_existing(options.settings(common))
    _agree(choice, yes=yes)
    selection = Selection(kinds=kinds, keyword=keyword, sample=sample, seed=seed)
    section = flow.mutate(choice, selection, Progress())
    options.show(section, summary(section), output)
    return exit_code(section)


def _agree(choice: Choice, *, yes: bool) -> None:
    """Ask the user, except for ``local``, where weakened rules endanger nobody. Raises ``UsageError``."""
    if choice.target == "local" or yes:
        return
    question = (
        f"This weakens the firewalls of run {choice.run!r} on {choice.target}, breaks its services one by "
        "one, each for some seconds, and creates one droplet to send probes from"
    )
    if not sys.stdin.isatty():
        raise UsageError(f"{question}, and there is no terminal to confirm on: use --yes")
    if not click.confirm(f"{question}. Continue?", err=True):
        raise UsageError("not confirmed; nothing was changed")

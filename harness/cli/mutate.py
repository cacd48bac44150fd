"""``wavetank mutate``: break the protection piece by piece and see whether the suite notices."""

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
@click.option("--only", "kinds", multiple=True, type=click.Choice(KINDS), help="This kind; repeatable.")
@click.option("-k", "keyword", metavar="TEXT", default="", help="Only mutants with this in their name.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Only so many, picked at random.")
@click.option("--seed", type=int, default=0, show_default=True, help="What --sample picks by.")
@click.option("--yes", is_flag=True, help="Do not ask before opening holes in a deployment on a cloud.")
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
    """Break rules and parts of a deployment on purpose, and see what notices; exit 0 if all were killed.

    Rules are to be noticed by packets, a deployment that is broken (--only relay, ...) by a check.
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
    """Nothing is asked for ``local``, where nobody is behind the holes. Raises ``UsageError``."""
    if choice.target == "local" or yes:
        return
    question = (
        f"This opens holes in run {choice.run!r} on {choice.target}, breaks its services one by one, each "
        "for some seconds, and makes one droplet to look through the holes"
    )
    if not sys.stdin.isatty():
        raise UsageError(f"{question}, and nobody is here to agree: say --yes")
    if not click.confirm(f"{question}. Go on?", err=True):
        raise UsageError("not agreed to; nothing was changed")

"""Confirmation before resources that cost money are created, and before anything is deleted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from harness.core.errors import UsageError

if TYPE_CHECKING:
    from harness.provision import Item, Price


def cost_confirmation(target: str, *, yes: bool, max_cost: float | None) -> Callable[[Price], None]:
    """The confirmation that ``up`` needs before it creates anything: on a cloud the user is asked.

    The returned function raises ``UsageError`` if the price is above ``max_cost`` (US dollars an hour), if
    there is no terminal to ask on, and if the answer is no.
    """

    def consent(price: Price) -> None:
        _refuse_over(price.hourly, max_cost)
        if target == "local" or yes:
            return
        _ask(price)

    return consent


def _refuse_over(hourly: float, max_cost: float | None) -> None:
    if max_cost is not None and hourly > max_cost:
        raise UsageError(f"this costs ${hourly:.4f} an hour, more than --max-cost {max_cost:g}")


def _ask(price: Price) -> None:
    question = f"This costs ${price.hourly:.4f} an hour (${price.monthly:.2f} a month) until it is deleted"
    if not sys.stdin.isatty():
        raise UsageError(
            f"{question}, and there is no terminal to confirm on: use --yes (and --max-cost USD)"
        )
    if not click.confirm(f"{question}. Continue?", err=True):
        raise UsageError("not confirmed; nothing was created")


def deletion_confirmation(target: str, *, yes: bool, show: bool = True) -> Callable[[Sequence[Item]], None]:
    """The confirmation needed before anything is deleted: shows the list, and on a cloud asks the user.

    The returned function raises ``UsageError`` if there is no terminal to ask on, and if the answer is no.
    """

    def agree(items: Sequence[Item]) -> None:
        for each in items if show else ():
            click.echo(f"  {each}, {age(each)}", err=True)
        if target == "local" or yes:
            return
        question = f"This deletes all {len(items)} resources on {target}, for good"
        if not sys.stdin.isatty():
            raise UsageError(
                f"{question}, and there is no terminal to confirm on: use --yes; nothing was deleted"
            )
        if not click.confirm(f"{question}. Continue?", err=True):
            raise UsageError("not confirmed; nothing was deleted")

    return agree


def age(item: Item) -> str:
    """The age of a resource, in words."""
    seconds = age_seconds(item)
    return "of unknown age" if seconds is None else f"{timedelta(seconds=seconds)} old"


def age_seconds(item: Item) -> int | None:
    """The age of a resource; None if the API gives no date."""
    if not item.created_at:
        return None
    born = datetime.fromisoformat(item.created_at)
    return max(0, int((datetime.now(UTC) - born).total_seconds()))


def as_document(item: Item) -> dict[str, str | int | None]:
    """A resource that was or is to be deleted, for a command's JSON."""
    return {"kind": item.kind, "name": item.name, "id": item.id, "age_seconds": age_seconds(item)}

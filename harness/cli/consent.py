"""Asking before money is spent, and before anything is taken away."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from harness.core.errors import UsageError

if TYPE_CHECKING:
    from harness.provision import Item, Price


def asker(target: str, *, yes: bool, max_cost: float | None) -> Callable[[Price], None]:
    """What ``up`` asks before it makes anything: nothing for ``local``, the user for a cloud.

    The function raises ``UsageError`` where the price is over ``max_cost`` (US dollars an hour), where
    there is nobody to ask, and where the answer is no.
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
    question = f"This costs ${price.hourly:.4f} an hour (${price.monthly:.2f} a month) until it is taken down"
    if not sys.stdin.isatty():
        raise UsageError(f"{question}, and nobody is here to agree: say --yes (and --max-cost USD)")
    if not click.confirm(f"{question}. Go on?", err=True):
        raise UsageError("not agreed to; nothing was made")


def remover(target: str, *, yes: bool, show: bool = True) -> Callable[[Sequence[Item]], None]:
    """What is asked before anything is taken away: the list is shown, and on a cloud it has to be agreed to.

    The function raises ``UsageError`` where there is nobody to ask, and where the answer is no.
    """

    def agree(items: Sequence[Item]) -> None:
        for each in items if show else ():
            click.echo(f"  {each}, {age(each)}", err=True)
        if target == "local" or yes:
            return
        question = f"This takes away all {len(items)} of it on {target}, for good"
        if not sys.stdin.isatty():
            raise UsageError(f"{question}, and nobody is here to agree: say --yes; nothing was taken away")
        if not click.confirm(f"{question}. Go on?", err=True):
            raise UsageError("not agreed to; nothing was taken away")

    return agree


def age(item: Item) -> str:
    """How long a resource has been there, in words."""
    seconds = age_seconds(item)
    return "of unknown age" if seconds is None else f"{timedelta(seconds=seconds)} old"


def age_seconds(item: Item) -> int | None:
    """How long a resource has been there, None where the API tells no date."""
    if not item.created_at:
        return None
    born = datetime.fromisoformat(item.created_at)
    return max(0, int((datetime.now(UTC) - born).total_seconds()))


def as_document(item: Item) -> dict[str, str | int | None]:
    """A resource that went, or is to go, for a command's JSON."""
    return {"kind": item.kind, "name": item.name, "id": item.id, "age_seconds": age_seconds(item)}

"""Asking before money is spent."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.provision import Price


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

"""``2h``, ``30m``, ``1d``: durations on the command line."""

from __future__ import annotations

import re
from datetime import timedelta

import click

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Duration(click.ParamType[timedelta]):
    """A number and a unit: ``90s``, ``30m``, ``2h``, ``1d``."""

    name = "duration"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        matched = re.fullmatch(r"(\d+)([smhd])", value)
        if not matched:
            self.fail(f"{value!r} is not a duration: use a number and s, m, h or d, like 2h", param, ctx)
        try:
            return timedelta(**{UNITS[matched[2]]: int(matched[1])})
        except (OverflowError, ValueError):
            self.fail(f"{value!r} is too long: use at most {timedelta.max.days}d", param, ctx)


DURATION = Duration()

"""Health checks, made quick enough for a swarm.

A swarm counts a task as running, and resolves its name, only once it is healthy, and Docker runs the first
check after one whole interval. So a task that starts is checked often (``start_interval``), and the interval
is short. In turn more failures are allowed, so that nothing becomes unhealthy sooner than before. The timeout
scale stretches all of it: on a machine that is so slow, a check with its usual timeout would have its task
restarted over and over.
"""

from __future__ import annotations

import math
import re
from typing import Any

from harness.core.wait import scaled
from harness.stack.model import Note
from harness.stack.service import Fragment, ServiceContext

LONGEST = 3.0
# How often a task that starts is checked, and for how long, where the file does not say it.
START = {"start_interval": "500ms", "start_period": "10s"}
DEFAULT_INTERVAL, DEFAULT_RETRIES = 30.0, 3
TIMES = ("timeout", "start_period", "start_interval")
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")


def health(context: ServiceContext, prelude: str | None) -> Fragment:
    """``healthcheck``. ``prelude``: what a shell does first, for a check that needs the secrets."""
    if "healthcheck" not in context.body:
        what = "there is none, so a task counts as running before it can answer"
        instead = "an update may fail requests; add one, unless the image has its own"
        return Fragment(notes=(context.note("healthcheck", what, instead),))
    given = context.body["healthcheck"]
    test = given.get("test", [])
    if given.get("disable") or test[:1] == ["NONE"]:
        return Fragment(body={"healthcheck": {"disable": True}})
    interval, retries, notes = _interval(context, given)
    body: dict[str, Any] = {"test": _with_prelude(prelude, test) if prelude else test} if test else {}
    body |= {"interval": interval, "retries": retries}
    wanted = START | given
    body |= {key: format_duration(scaled(seconds(wanted[key]))) for key in TIMES if key in wanted}
    return Fragment(body={"healthcheck": body}, notes=tuple(notes))


def _interval(context: ServiceContext, given: dict[str, Any]) -> tuple[str, int, list[Note]]:
    # 0 is Docker's default.
    interval = seconds(given.get("interval", "0s")) or DEFAULT_INTERVAL
    retries = given.get("retries", 0) or DEFAULT_RETRIES
    if interval <= LONGEST:
        return format_duration(scaled(interval)), retries, []
    more = math.ceil(interval * retries / LONGEST)
    what = f"a swarm may wait one interval, {format_duration(interval)}, before it counts a task as running"
    every = format_duration(LONGEST)
    instead = f"it looks every {every}, and is unhealthy after {more} failures instead of {retries}"
    return format_duration(scaled(LONGEST)), more, [context.note("healthcheck.interval", what, instead)]


def _with_prelude(prelude: str, test: list[str]) -> list[str]:
    """Docker runs a check beside the program, without the secrets that the program's shell has read."""
    if test[0] == "CMD-SHELL":
        return ["CMD-SHELL", f"{prelude}; {' '.join(test[1:])}"]
    return ["CMD", "/bin/sh", "-c", f'{prelude}; exec "$@"', "sh", *test[1:]]


def seconds(duration: str) -> float:
    """A duration as Compose writes it: ``1m30s``, ``500ms``."""
    pairs = DURATION.findall(duration)
    return float(sum(float(number) * UNITS[unit] for number, unit in pairs))


def format_duration(seconds: float) -> str:
    """A duration as Docker reads it: ``30s``, ``500ms``."""
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{seconds * 1000:.0f}ms"

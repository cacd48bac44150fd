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
import shlex
from collections.abc import Collection
from typing import Any

from harness.core.masking import SHORTEST
from harness.core.wait import scaled
from harness.stack import taint
from harness.stack.model import Note
from harness.stack.objects import file_fragment
from harness.stack.prove import ordinary_words, shows
from harness.stack.service import Fragment, ServiceContext, join

LONGEST = 3.0
# How often a task that starts is checked, and for how long, where the file does not say it.
START = {"start_interval": "500ms", "start_period": "10s"}
FILE = "healthcheck"
SCRIPT = ["CMD", "/bin/sh", f"/run/secrets/{FILE}"]
DEFAULT_INTERVAL, DEFAULT_RETRIES = 30.0, 3
TIMES = ("timeout", "start_period", "start_interval")
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")


def health(context: ServiceContext, prelude: str | None, secret: Collection[str] = ()) -> Fragment:
    """``healthcheck``. ``prelude``: what a shell does first, for a check that needs the secrets.

    A check that holds a password, such as one of the values ``secret``, becomes a script in a secret.
    """
    if "healthcheck" not in context.body:
        what = "there is none, so a task counts as running before it can answer"
        instead = "an update may fail requests; add one, unless the image has its own"
        return Fragment(notes=(context.note("healthcheck", what, instead),))
    given = context.body["healthcheck"]
    test = given.get("test", [])
    if given.get("disable") or test[:1] == ["NONE"]:
        return Fragment(body={"healthcheck": {"disable": True}})
    interval, retries, notes = _interval(context, given)
    found, wanted = _test(context, test, prelude, secret), START | given
    body: dict[str, Any] = {"interval": interval, "retries": retries}
    body |= {key: format_duration(scaled(seconds(wanted[key]))) for key in TIMES if key in wanted}
    return join([found, Fragment(body={"healthcheck": body}, notes=tuple(notes))])


def _test(context: ServiceContext, test: list[str], prelude: str | None, secret: Collection[str]) -> Fragment:
    """``healthcheck.test``; nothing where it is the image's own."""
    words = ordinary_words([context])
    values = [value for value in secret if value not in words]
    # A script costs nothing, so a short password that is a word by chance may be taken for one.
    if not any(taint.is_secret(each) or shows(each, values, shortest=SHORTEST) for each in test):
        given = _with_prelude(prelude, test) if prelude and test else test
        return Fragment(body={"healthcheck": {"test": given}} if given else {})
    what, instead = "it holds a password, which a service's definition shows", "it is a script in a secret"
    return join(
        [
            Fragment(
                body={"healthcheck": {"test": SCRIPT}},
                notes=(context.note("healthcheck.test", what, instead),),
            ),
            file_fragment(context, "healthcheck", _script(test, prelude), FILE, label=FILE, hidden=True),
        ]
    )


def _script(test: list[str], prelude: str | None) -> bytes:
    """What a shell runs in the place of a check."""
    words = [taint.untainted(each) for each in test[1:]]
    command = " ".join(words) if test[0] == "CMD-SHELL" else f"exec {shlex.join(words)}"
    return f"{f'{prelude}; ' if prelude else ''}{command}\n".encode()


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

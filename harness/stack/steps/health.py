"""Health checks, made quick enough for a swarm.

A swarm counts a task as running, and lets its name lead there, only once it is healthy, and Docker first
looks after one whole interval. So that must be short. The check may fail more often in turn, so that nothing
is called unhealthy any sooner than before. The timeout scale stretches all of it: on a machine so slow, a
check that is given its usual time has its task ended for ever and ever.
"""

from __future__ import annotations

import math
from typing import Any

from harness.core.wait import scaled
from harness.stack import values
from harness.stack.model import Note
from harness.stack.service import Job, Part

LONGEST = 3.0
DEFAULT_INTERVAL, DEFAULT_RETRIES = 30.0, 3
TIMES = ("timeout", "start_period")
NEWER = ("start_interval",)


def health(job: Job, prelude: str | None) -> Part:
    """``healthcheck``. ``prelude``: what a shell does first, for a check that needs the secrets."""
    if "healthcheck" not in job.body:
        what = "there is none, so a task counts as running before it can answer"
        instead = "an update may fail requests; add one, unless the image has its own"
        return Part(notes=(job.note("healthcheck", what, instead),))
    given = values.section(job, "healthcheck", job.body["healthcheck"])
    _check_keys(job, given)
    if values.truth(job, "healthcheck.disable", given.get("disable", False)):
        return Part(body={"healthcheck": {"disable": True}})
    test = _test(job, given.get("test"))
    if test and test[0] == "NONE":
        return Part(body={"healthcheck": {"disable": True}})
    interval, retries, notes = _pace(job, given)
    body: dict[str, Any] = {"test": _after(prelude, test) if prelude else test} if test else {}
    body |= {"interval": interval, "retries": retries}
    body |= {key: _duration(job, f"healthcheck.{key}", given[key]) for key in TIMES if key in given}
    if "start_interval" in given:
        what = "stacks of version 3.8 have no start_interval"
        notes.append(job.note("healthcheck.start_interval", what, f"it looks every {interval} all along"))
    return Part(body={"healthcheck": body}, notes=tuple(notes))


def _pace(job: Job, given: dict[str, Any]) -> tuple[str, int, list[Note]]:
    interval = values.seconds(job, "healthcheck.interval", given.get("interval", f"{DEFAULT_INTERVAL:g}s"))
    interval = interval or DEFAULT_INTERVAL  # 0 is Docker's default
    retries = values.whole(job, "healthcheck.retries", given.get("retries", 0)) or DEFAULT_RETRIES
    if interval <= LONGEST:
        return spelled(scaled(interval)), retries, []
    more = math.ceil(interval * retries / LONGEST)
    what = f"a swarm waits one interval, {spelled(interval)}, before it counts a task as running"
    instead = (
        f"it looks every {spelled(LONGEST)}, and is unhealthy after {more} failures instead of {retries}"
    )
    return spelled(scaled(LONGEST)), more, [job.note("healthcheck.interval", what, instead)]


def _test(job: Job, given: Any) -> list[str]:
    """As a list, whose first word says how it is run."""
    if given is None:
        return []
    if isinstance(given, str):
        return ["CMD-SHELL", given]
    words = values.texts(job, "healthcheck.test", given)
    if words and words[0] in ("NONE", "CMD", "CMD-SHELL"):
        return words
    problem = "a list must begin with NONE, CMD or CMD-SHELL"
    raise job.error("healthcheck.test", problem, 'write `["CMD", "program", "argument"]`, or one text')


def _after(prelude: str, test: list[str]) -> list[str]:
    """Docker runs a check beside the program, without what the program was told."""
    if test[0] == "CMD-SHELL":
        return ["CMD-SHELL", f"{prelude}; {' '.join(test[1:])}"]
    return ["CMD", "/bin/sh", "-c", f'{prelude}; exec "$@"', "sh", *test[1:]]


def _duration(job: Job, key: str, value: Any) -> str:
    return spelled(scaled(values.seconds(job, key, value)))


def spelled(seconds: float) -> str:
    """A time as Docker reads it: ``30s``, ``500ms``."""
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{seconds * 1000:.0f}ms"


def _check_keys(job: Job, given: dict[str, Any]) -> None:
    for key in given:
        if key not in ("disable", "test", "interval", "retries", *TIMES, *NEWER):
            remedy = "take it out, or correct its spelling"
            raise job.error(f"healthcheck.{key}", "no such key in a health check", remedy)

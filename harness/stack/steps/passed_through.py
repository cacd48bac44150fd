"""Keys that mean the same in a stack. Their values are brought to the form that a stack takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.stack import values
from harness.stack.service import Job, Part
from harness.stack.steps.program import templated

Form = Callable[[Job, str, Any], Any]


def kept(job: Job) -> Part:
    """All that stays under its own name."""
    return Part(body={key: form(job, key, job.body[key]) for key, form in KEPT.items() if key in job.body})


def _template(job: Job, key: str, value: Any) -> str:
    return templated(values.text(job, key, value))


def _grace(job: Job, key: str, value: Any) -> str:
    values.seconds(job, key, value)
    return values.text(job, key, value)


def _hosts(job: Job, key: str, value: Any) -> list[str]:
    """``NAME:ADDRESS``; ``host-gateway`` means nothing where the host is any of several."""
    if isinstance(value, Mapping):
        found = [f"{name}:{values.text(job, key, each)}" for name, each in value.items()]
    else:
        found = [each.replace("=", ":", 1) if "=" in each else each for each in values.texts(job, key, value)]
    for each in found:
        if each.endswith(":host-gateway"):
            problem = f"`{each}`: a task has no one host"
            raise job.error(key, problem, "name an address, or the service that listens there")
    return found


def _ulimits(job: Job, key: str, value: Any) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    for name, each in values.section(job, key, value).items():
        if isinstance(each, Mapping):
            ends = {end: values.whole(job, f"{key}.{name}.{end}", limit) for end, limit in each.items()}
            limits[name] = ends
        else:
            limits[name] = values.whole(job, f"{key}.{name}", each)
    return limits


def _logging(job: Job, key: str, value: Any) -> dict[str, Any]:
    given = values.section(job, key, value)
    found: dict[str, Any] = {}
    if "driver" in given:
        found["driver"] = values.text(job, f"{key}.driver", given.pop("driver"))
    if "options" in given:
        found["options"] = values.mapping(job, f"{key}.options", given.pop("options"))
    if given:
        raise job.error(f"{key}.{next(iter(given))}", "logging has no such key", "it has driver and options")
    return found


KEPT: Mapping[str, Form] = {
    "cap_drop": values.texts,
    "dns": values.texts,
    "dns_search": values.texts,
    "extra_hosts": _hosts,
    "hostname": _template,
    "init": values.truth,
    "labels": values.mapping,
    "logging": _logging,
    "read_only": values.truth,
    "stdin_open": values.truth,
    "stop_grace_period": _grace,
    "stop_signal": values.text,
    "sysctls": values.mapping,
    "tty": values.truth,
    "ulimits": _ulimits,
    "user": values.text,
    "working_dir": values.text,
}

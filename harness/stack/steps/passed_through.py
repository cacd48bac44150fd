"""Keys that mean the same in a stack. Their values are converted to the form that a stack takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.stack import values
from harness.stack.service import Fragment, ServiceContext
from harness.stack.steps.program import templated

Form = Callable[[ServiceContext, str, Any], Any]


def passed_through(context: ServiceContext) -> Fragment:
    """The keys that stay under their own names."""
    return Fragment(
        body={
            key: form(context, key, context.body[key])
            for key, form in PASSED_THROUGH.items()
            if key in context.body
        }
    )


def _template(context: ServiceContext, key: str, value: Any) -> str:
    return templated(values.string(context, key, value))


def _grace(context: ServiceContext, key: str, value: Any) -> str:
    values.seconds(context, key, value)
    return values.string(context, key, value)


def _hosts(context: ServiceContext, key: str, value: Any) -> list[str]:
    """``NAME:ADDRESS``; ``host-gateway`` means nothing where the host may be any of several."""
    if isinstance(value, Mapping):
        found = [f"{name}:{values.string(context, key, each)}" for name, each in value.items()]
    else:
        found = [
            each.replace("=", ":", 1) if "=" in each else each for each in values.strings(context, key, value)
        ]
    for each in found:
        if each.endswith(":host-gateway"):
            problem = f"`{each}`: a task has no one host"
            raise context.error(key, problem, "name an address, or the service that listens there")
    return found


def _ulimits(context: ServiceContext, key: str, value: Any) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    for name, each in values.section(context, key, value).items():
        if isinstance(each, Mapping):
            ends = {end: values.integer(context, f"{key}.{name}.{end}", limit) for end, limit in each.items()}
            limits[name] = ends
        else:
            limits[name] = values.integer(context, f"{key}.{name}", each)
    return limits


def _logging(context: ServiceContext, key: str, value: Any) -> dict[str, Any]:
    given = values.section(context, key, value)
    found: dict[str, Any] = {}
    if "driver" in given:
        found["driver"] = values.string(context, f"{key}.driver", given.pop("driver"))
    if "options" in given:
        found["options"] = values.mapping(context, f"{key}.options", given.pop("options"))
    if given:
        raise context.error(
            f"{key}.{next(iter(given))}", "logging has no such key", "it has driver and options"
        )
    return found


PASSED_THROUGH: Mapping[str, Form] = {
    "cap_drop": values.strings,
    "dns": values.strings,
    "dns_search": values.strings,
    "extra_hosts": _hosts,
    "hostname": _template,
    "init": values.boolean,
    "labels": values.mapping,
    "logging": _logging,
    "read_only": values.boolean,
    "stdin_open": values.boolean,
    "stop_grace_period": _grace,
    "stop_signal": values.string,
    "sysctls": values.mapping,
    "tty": values.boolean,
    "ulimits": _ulimits,
    "user": values.string,
    "working_dir": values.string,
}

"""Keys that mean the same in a stack. Nearly all values are in the form that a stack takes already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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


def _same(_context: ServiceContext, _key: str, value: Any) -> Any:
    return value


def _template(_context: ServiceContext, _key: str, value: str) -> str:
    return templated(value)


def _hosts(context: ServiceContext, key: str, value: list[str]) -> list[str]:
    """``NAME:ADDRESS``; ``host-gateway`` means nothing where the host may be any of several."""
    found = [each.replace("=", ":", 1) for each in value]
    for each in found:
        if each.endswith(":host-gateway"):
            problem = f"`{each}`: a task has no one host"
            raise context.error(key, problem, "name an address, or the service that listens there")
    return found


PASSED_THROUGH: Mapping[str, Form] = {
    "cap_drop": _same,
    "dns": _same,
    "dns_search": _same,
    "extra_hosts": _hosts,
    "hostname": _template,
    "init": _same,
    "labels": _same,
    "logging": _same,
    "read_only": _same,
    "stdin_open": _same,
    "stop_grace_period": _same,
    "stop_signal": _same,
    "sysctls": _same,
    "tty": _same,
    "ulimits": _same,
    "user": _same,
    "working_dir": _same,
}

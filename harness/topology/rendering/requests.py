"""Requests of ``checks.requests``: their expressions, with a fresh nonce, so that they can be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.core.errors import TopologyError
from harness.topology.deployment import Deployment
from harness.topology.model import AppRequest, Topology
from harness.topology.rendering.render import LOCATIONS, Context, evaluate, make_context

REMEDY = f"nonce, {LOCATIONS}"


def evaluated(topology: Topology, deployment: Deployment, number: int, nonce: str) -> AppRequest:
    """The request of that number (from 0) with the values of its expressions.

    Raises ``TopologyError`` for an expression that cannot be used.
    """
    request = topology.checks.requests[number]
    context = {**make_context(topology, deployment, None), "nonce": nonce}
    try:
        return replace(
            request,
            path=evaluate(request.path, context),
            json=_values(request.json, context),
            expected=_values(request.expected, context),
        )
    except ValueError as error:
        at = f"checks.requests[{number}]"
        raise TopologyError(str(error), file=topology.file, field=at, remedy=REMEDY) from error


def _values(document: Any, context: Context) -> Any:
    if isinstance(document, str):
        return evaluate(document, context)
    if isinstance(document, Mapping):
        return {key: _values(value, context) for key, value in document.items()}
    return [_values(each, context) for each in document] if isinstance(document, list) else document

"""The page's sections, in their order: one file each, with a template of the same name.

A section is a module with ``NAME`` (its template and its anchor), ``TITLE`` (its heading, empty: none) and
``content(report)``: what its template is given, or None if the report has nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from harness.html.sections import (
    checks,
    differences,
    failover,
    head,
    load,
    machines,
    matrix,
    mutation,
    timings,
    topology,
)


class Section(Protocol):
    """What a section's module offers."""

    NAME: str
    TITLE: str
    content: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]


SECTIONS: tuple[Any, ...] = (
    head,
    differences,
    topology,
    machines,
    matrix,
    mutation,
    failover,
    load,
    timings,
    checks,
)

"""Render the page: its frame, and the sections in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2

from harness.html import words
from harness.html.sections import SECTIONS

ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("harness.html"),
    autoescape=True,
    undefined=jinja2.ChainableUndefined,  # reports of older versions lack what newer ones have
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters.update(
    count=words.count, seconds=words.seconds, ports=words.spaced_ports, breakable=words.breakable
)


def render(report: Mapping[str, Any]) -> str:
    """The whole page of one report, as HTML, without sections for which the report has no data."""
    parts = [
        {"name": section.NAME, "title": section.TITLE, "content": content}
        for section in SECTIONS
        if (content := section.content(report)) is not None
    ]
    return ENVIRONMENT.get_template("page.html.j2").render(
        parts=parts, run=report.get("run", ""), verdict=report.get("verdict", "inconclusive")
    )

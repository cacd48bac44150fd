"""The topology as a picture, and the same in a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.html.drawing.plan import plan
from harness.html.drawing.svg import draw

NAME = "topology"
TITLE = "Topology"


def content(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The drawing and the flows as lines; None for a report of a run in which nothing was created."""
    picture = draw(report)
    if picture is None:
        return None
    shown = plan(report)
    return {
        "picture": picture,
        "violated": any(arrow.violated for arrow in shown.arrows),
        "unshown": shown.unshown,
        "flows": report.get("intent", []),
        "nodes": [*report.get("droplets", []), *report.get("databases", [])],
    }

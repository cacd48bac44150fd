"""A run's report as one HTML page, made from ``report.json`` alone.

``page`` renders the page; ``sections`` has one module per section, each with a template of its name in
``templates``; ``drawing`` makes the layout and the SVG. Pure functions, except :func:`write`. The page needs
no network, no script and no other file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.html.page import render

__all__ = ["NAME", "render", "write"]

NAME = "report.html"


def write(report: Mapping[str, Any], file: Path) -> Path:
    """Render ``report`` to ``file``, replaced in one step, and return it."""
    fresh = file.with_name(f".{file.name}-{os.getpid()}")
    fresh.write_text(render(report), encoding="utf-8")
    return fresh.replace(file)

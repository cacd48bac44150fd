"""The differences between the droplets and the images that the topology names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAME = "machines"
TITLE = "Droplets and their images"
EMULATED = (
    "An emulated droplet has this machine's kernel and cgroups, and an engine of its own. Where the "
    "application depends on what differs here, the checks say so and are inconclusive."
)
CLOUD = "What the droplets are, compared with what such an image is known to be."


def content(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Each image with its droplets and what differs; None if they were not inspected."""
    machines = report.get("machines")
    if not machines:
        return None
    return {"machines": machines, "lead": EMULATED if report.get("target") == "local" else CLOUD}

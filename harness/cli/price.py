"""``wavetank price``: the price of a topology, from the API's own price list."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from harness.cli import options


@click.command()
@options.common
@options.output
def price(output: str, **common: Any) -> int:
    """Show what the topology costs in US dollars, from the API's own list of sizes."""
    from harness import provision
    from harness.core.progress import Progress
    from harness.run import settings

    given = options.settings(common)
    choice = settings.choose_new(given)
    topology = settings.load_topology(choice)
    found = provision.price(settings.resolve(given, choice.target, Progress()), topology)
    text = f"{topology.name}: ${found.hourly:.4f} an hour, ${found.monthly:.2f} a month"
    options.show({"topology": topology.name, **asdict(found)}, text, output)
    return 0

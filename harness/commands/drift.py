"""``wavetank drift``: a running deployment's walls against its topology."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from harness.commands import options


@click.command()
@options.common
@options.output
def drift(output: str, **common: Any) -> int:
    """Hold firewalls, trusted sources and droplets against the topology; exit 1 if something differs.

    Only reads, so it is safe on a cloud.
    """
    from harness.isolation import drift as drifting
    from harness.isolation.standing import standing

    stands = standing(options.settings(common))
    found = drifting.drift(stands.topology, stands.choice.run, stands.target.operators, stands.told)
    document = {
        "run": stands.choice.run,
        "topology": str(stands.topology.file),
        "drift": [asdict(each) for each in found],
        "notes": list(stands.network.notes),
    }
    names = drifting.firewall_names(stands.topology, stands.choice.run)
    compared = (
        f"{len(names)} firewalls, {len(stands.topology.databases)} databases' trusted sources "
        f"and {len(stands.topology.droplets)} droplets"
    )
    lines = [str(each) for each in found] or [f"no drift: {compared} are as {stands.topology.file} says"]
    options.show(document, "\n".join(lines), output)
    return 1 if found else 0

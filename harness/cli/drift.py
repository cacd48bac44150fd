"""``wavetank drift``: compare a running deployment's firewalls with its topology."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.isolation.drift import Drift
    from harness.isolation.session import NetworkSession


@click.command()
@options.reading
@options.output
def drift(output: str, **common: Any) -> int:
    """Compare firewalls, trusted sources and droplets with the topology; exit 1 if something differs.

    Read-only, so it is safe on a cloud.
    """
    from harness.isolation.session import open_network_session

    stands = open_network_session(options.settings(common), whole=False)
    found = _drift(stands)
    document = {
        "run": stands.choice.run,
        **options.existing(stands.choice),
        "topology": str(stands.topology.file),
        "drift": [asdict(each) for each in found],
        "notes": list(stands.network.notes),
    }
    lines = [str(each) for each in found] or [
        f"no drift: {_compared(stands)} are as {stands.topology.file} says"
    ]
    options.show(document, "\n".join(lines), output)
    return 1 if found else 0


def _drift(stands: NetworkSession) -> tuple[Drift, ...]:
    from harness.existing import admits
    from harness.isolation import drift as drifting

    asked = stands.topology, stands.choice.run, stands.target.operators, stands.documents
    return admits.drift(*asked, stands.match) if stands.match else drifting.drift(*asked)


def _compared(stands: NetworkSession) -> str:
    from harness.isolation.drift import firewall_names

    if stands.match:
        admitted = f"what the firewalls admit at {len(stands.topology.droplets)} droplets"
        return f"{admitted} and {len(stands.topology.databases)} databases' trusted sources"
    return (
        f"{len(firewall_names(stands.topology, stands.choice.run))} firewalls, "
        f"{len(stands.topology.databases)} databases' trusted sources "
        f"and {len(stands.topology.droplets)} droplets"
    )

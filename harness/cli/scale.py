"""``wavetank scale``: change the number of replicas of a service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.deploy.scaling import Scaled


@click.command()
@options.common
@click.argument("orders", nargs=-1, required=True, metavar="SERVICE=REPLICAS...")
@options.output
def scale(orders: Sequence[str], output: str, **common: Any) -> int:
    """Set the number of replicas of each SERVICE, and wait until all of them run."""
    from harness.access import nodes
    from harness.core.progress import Progress
    from harness.deploy import scale as projects
    from harness.deploy.scaling import parse_orders
    from harness.run import settings
    from harness.swarm import scale as swarms

    wanted = parse_orders(orders)
    progress = Progress()
    session = nodes.reach(settings.choose_existing(options.settings(common)), progress)
    change = swarms.scale if session.topology.swarm else projects.scale
    done = change(session.access, session.topology, session.deployment, wanted, progress=progress)
    options.show({"services": [asdict(each) for each in done]}, "\n".join(map(_line, done)), output)
    return 0


def _line(scaled: Scaled) -> str:
    counted = {node: scaled.nodes.count(node) for node in scaled.nodes}
    where = ", ".join(f"{node} {count}" for node, count in counted.items())
    return f"{scaled.service}: {scaled.before} -> {scaled.replicas}{f' ({where})' if where else ''}"

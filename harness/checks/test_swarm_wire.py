"""Whether traffic between services can be read on the wire is as the topology says.

A canary goes through the overlay to a task on each droplet, from one on another, while the receiving droplet
reads its own wire. Where encryption is asked for, plain text is a failure. Where it is not, plain text must
be found: that shows that the reading works.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from harness.access.ssh import Access
from harness.core.errors import CheckFailedError, InconclusiveError
from harness.core.parallel import in_parallel
from harness.swarm.kernel import kernel
from harness.topology.deployment import Deployment
from harness.topology.model import Swarm
from harness.verify.disturbing import Note
from harness.verify.fixtures import Remark
from harness.verify.swarm.discovery import listening
from harness.verify.swarm.encryption import Captured, OverlayPath, listen, verdict
from harness.verify.swarm.view import View

PLAIN = (
    "the overlay network is not encrypted, as the topology says: whoever can read the VPC's wires reads what "
    "services say to each other; docs/swarm.md says what encryption takes"
)
UNABLE = (
    "the overlay network is to be encrypted, and was NOT checked: the kernel of {nodes} has no ESP, so that "
    "services start and never hear of each other"
)


def test_overlay_is_as_secret_as_the_topology_says(
    paths: tuple[OverlayPath, ...],
    view: View,
    swarm: Swarm,
    access: Access,
    deployment: Deployment,
    note: Note,
    remark: Remark,
) -> None:
    """Encrypted: ESP on the wire, and the canary nowhere. Not encrypted: the canary in plain VXLAN."""
    if swarm.overlay.encrypted:
        require_esp(access, view, remark)
    else:
        remark(PLAIN)
    addresses = {name: node.private_ip or "" for name, node in deployment.nodes.items()}
    captured = listen(access, addresses, paths)
    note("; ".join(map(str, captured)))
    require_expected(captured, swarm)


@pytest.fixture
def paths(view: View, swarm: Swarm) -> tuple[OverlayPath, ...]:
    """One path to each droplet with a task that listens, from a task on another droplet."""
    ports = listening(swarm)
    running = view.running()
    found: dict[str, OverlayPath] = {}
    for task in running:
        others = [each for each in running if each.node != task.node]
        if task.node not in found and ports[task.service] and others:
            source = others[len(found) % len(others)]
            found[task.node] = OverlayPath(
                source.node,
                source.container,
                task.node,
                view.addresses[task.id],
                ports[task.service][0],
                f"{source.service} on {source.node} to {task.service} on {task.node}",
            )
    return tuple(found.values()) or pytest.skip("no two tasks on different droplets, one of which listens")


def require_esp(access: Access, view: View, remark: Remark) -> None:
    """Skip where a kernel cannot do what encryption takes, and say so for the whole run."""
    nodes = sorted({each.node for each in view.running()})
    able = in_parallel([partial(kernel, access, node) for node in nodes])
    unable = [node for node, each in zip(nodes, able, strict=True) if not each.esp]
    if unable:
        captured = UNABLE.format(nodes=", ".join(unable))
        remark(captured)
        pytest.skip(captured)


def require_expected(captured: Sequence[Captured], swarm: Swarm) -> None:
    """Every path is as it should be. A failure on one outweighs a doubt about another."""
    problems: list[str] = []
    doubts: list[str] = []
    for each in captured:
        try:
            problems += filter(None, [verdict(each, encrypted=swarm.overlay.encrypted)])
        except InconclusiveError as doubt:
            doubts.append(str(doubt))
    if problems:
        raise CheckFailedError("; ".join(problems))
    if doubts:
        raise InconclusiveError("; ".join(doubts))

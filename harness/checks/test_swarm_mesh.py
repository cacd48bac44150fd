"""What a kernel with IPVS gives a swarm: virtual addresses, and a port that answers on every member.

A small service is made for it beside the stack's own, and removed again. Without IPVS all of this is skipped:
there the stack resolves names to tasks, and publishes ports on the tasks' own nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from harness.access.ssh import Access
from harness.core.parallel import in_parallel
from harness.swarm.kernel import kernel
from harness.topology.deployment import Deployment
from harness.topology.model import Swarm
from harness.verify.disturbing import Note
from harness.verify.swarm import mesh as swarm_mesh
from harness.verify.swarm.mesh import ROUNDS, Mesh, shown, uneven
from harness.verify.swarm.view import View

UNABLE = "the kernel of {nodes} has no IPVS: no virtual addresses, and no ports published on every member"


@pytest.fixture(scope="session")
def members(swarm: Swarm, view: View, access: Access, deployment: Deployment) -> dict[str, str]:
    """The private address of each member that is there; skips where a kernel lacks IPVS."""
    del swarm
    ready = [each.node for each in view.state.members if each.status == "ready" and each.node]
    able = in_parallel([partial(kernel, access, node) for node in ready])
    if unable := [node for node, each in zip(ready, able, strict=True) if not each.ipvs]:
        pytest.skip(UNABLE.format(nodes=", ".join(unable)))
    return {node: deployment.nodes[node].private_ip or "" for node in ready}


@pytest.fixture(scope="session")
def mesh(members: dict[str, str], view: View, access: Access) -> Iterator[Mesh]:
    """The service, once each of its tasks has answered on every member."""
    made_of = swarm_mesh.material(access, view)
    if made_of is None:
        pytest.skip("no image of the stack has Python, which the service's tasks would answer with")
    with swarm_mesh.mesh(access, view.manager, made_of) as found:
        swarm_mesh.settled(access, members, found)
        yield found


def test_service_has_a_virtual_address(stacked: str, members: dict[str, str], view: View, note: Note) -> None:
    """Where every kernel has IPVS, the stack makes use of it."""
    del members
    note(f"{stacked} is at {view.vips[stacked] or 'the addresses of its tasks'}")
    assert view.vips[stacked], f"{stacked} has no virtual address, though every member's kernel has IPVS"


def test_published_port_answers_on_every_member(
    mesh: Mesh, members: dict[str, str], access: Access, note: Note
) -> None:
    """Also where no task runs; each member hands connections to all tasks in turn."""
    found = swarm_mesh.everywhere(access, members, mesh, mesh.tasks * ROUNDS)
    note("; ".join(f"{node}: {shown(seen)}" for node, seen in found.items()))
    wrong = {node: uneven(seen, mesh.tasks) for node, seen in found.items()}
    assert wrong == dict.fromkeys(members, "")


def test_virtual_address_is_shared_out_in_turn(mesh: Mesh, view: View, access: Access, note: Note) -> None:
    """From inside a task on each node that runs any: one address, and every task answers its share."""
    asking = {task.node: task.container for task in view.running()}
    jobs = [
        partial(swarm_mesh.ask, access, node, mesh.virtual, mesh.tasks * ROUNDS, container=container)
        for node, container in asking.items()
    ]
    found = dict(zip(asking, in_parallel(jobs), strict=True))
    note("; ".join(f"{node}: {shown(seen)}" for node, seen in found.items()))
    wrong = {node: uneven(seen, mesh.tasks) for node, seen in found.items()}
    assert wrong == dict.fromkeys(asking, "")

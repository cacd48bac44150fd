"""Remove members from a swarm, let them take tasks or not, and rotate the join tokens."""

from __future__ import annotations

import shlex
from contextlib import suppress

from harness.access.ssh import Access
from harness.core.errors import CommandError, ResourceError, WaitTimeoutError
from harness.core.wait import NotYet, wait_for
from harness.swarm import join, snapshot
from harness.swarm.cluster import remove_entry, run_on_manager
from harness.swarm.snapshot import Member
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

EMPTY_SECONDS = 120.0
TASKS = "docker node ps {id} --format '{{{{.CurrentState}}}} {{{{.Name}}}}'"
AT_WORK = ("Running", "Starting", "Preparing", "Ready", "Assigned", "Accepted")
ROTATE = """\
set -e
docker swarm join-token --rotate --quiet manager >/dev/null
docker swarm join-token --rotate --quiet worker >/dev/null
"""


def rotate_tokens(access: Access, manager: str) -> None:
    """Make new join tokens; the old ones are no longer accepted. Members stay members."""
    run_on_manager(access, manager, ROTATE)


def drain(access: Access, manager: str, node: str) -> None:
    """Have ``node`` hand its tasks over to others and take no new ones. Does not wait for that.

    ``node`` is a droplet's name, or its node id in the swarm.
    """
    _set_availability(access, manager, node, "drain")


def activate(access: Access, manager: str, node: str) -> None:
    """Let ``node`` take tasks again. Those that have moved do not come back by themselves."""
    _set_availability(access, manager, node, "active")


def remove(access: Access, topology: Topology, deployment: Deployment, node: str) -> None:
    """Remove ``node`` from the swarm: its tasks first, then itself, then its entry. ``form`` joins it again.

    Raises ``ResourceError`` for one that is no member, or the only manager, or whose tasks do not end.
    """
    others = [each for each in _managers(topology) if each != node]
    if not others:
        problem = "is the only manager of the swarm; make another droplet one first (swarm.managers)"
        raise ResourceError("droplet", node, problem)
    manager = snapshot.first_manager(access, topology.name, others, deadline=30)
    member = _member(access, deployment, manager, node)
    drain(access, manager, member.id)
    if member.status == "ready":
        _await_empty(access, manager, member)
    if member.role == "manager":
        run_on_manager(access, manager, f"docker node demote {member.id} >/dev/null")
    with suppress(CommandError, WaitTimeoutError, ResourceError):  # a dead one cannot be asked to leave
        join.leave(access, node)
    remove_entry(access, manager, member)


def _managers(topology: Topology) -> tuple[str, ...]:
    return topology.swarm.managers if topology.swarm else ()


def _member(access: Access, deployment: Deployment, manager: str, node: str) -> Member:
    for each in snapshot.members(access, deployment, manager):
        if each.node == node:
            return each
    raise ResourceError("droplet", node, "is not a member of the swarm")


def _set_availability(access: Access, manager: str, node: str, wanted: str) -> None:
    run_on_manager(
        access, manager, f"docker node update --availability {wanted} {shlex.quote(node)} >/dev/null"
    )


def _await_empty(access: Access, manager: str, member: Member) -> None:
    script = TASKS.format(id=member.id)

    def probe() -> None:
        tasks = access.run(manager, script).splitlines()
        if left := [each.split()[-1] for each in tasks if each.startswith(AT_WORK)]:
            raise NotYet(f"{', '.join(left)} still there")

    try:
        wait_for(f"the tasks of {member.node} to move", probe, deadline=EMPTY_SECONDS)
    except WaitTimeoutError as error:
        raise ResourceError("droplet", member.node, str(error)) from error

"""Form the swarm that a topology asks for: read :func:`form` to know the order.

Each step reads what is there and changes only what differs. A droplet is a member if its own engine reports
the id that the managers have at the droplet's private address; every other entry in their list is foreign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from harness.access.ssh import Access
from harness.core.errors import CommandError, ResourceError, WaitTimeoutError
from harness.core.parallel import in_parallel
from harness.core.progress import Progress
from harness.core.wait import NotYet, scaled, wait_for
from harness.deploy.remote import wait_until_ready
from harness.swarm import join, labels, network, snapshot
from harness.swarm.snapshot import Member
from harness.swarm.survey import Engine, inspect, survey
from harness.topology.deployment import Deployment
from harness.topology.model import Swarm, Topology
from harness.topology.validation.swarm import SLOWEST

READY_SECONDS = 60.0
ROLE_SECONDS = 60.0
ORDER_SECONDS = 20.0
MANAGER_SECONDS = 30.0

# The managers' messages while another change is under way, or while they elect a leader.
BUSY = (
    "update out of sequence",
    "is a member of the raft cluster",
    "does not have a leader",
    "lost leader status",
)


@dataclass(frozen=True)
class _FormContext:
    """What every step needs. ``changed`` grows; ``listed`` caches the managers' list until a change."""

    access: Access
    topology: Topology
    swarm: Swarm
    deployment: Deployment
    progress: Progress
    changed: list[str] = field(default_factory=list)
    listed: list[Member] = field(default_factory=list)

    def record(self, text: str) -> None:
        """Report a change, and record it."""
        self.progress.note(f"swarm: {text}")
        self.changed.append(text)
        self.listed.clear()

    def members(self, manager: str, *, fresh: bool = False) -> tuple[Member, ...]:
        """The managers' list; ``fresh``: read it again, even if we changed nothing."""
        if fresh or not self.listed:
            self.listed[:] = snapshot.members(self.access, self.deployment, manager)
        return tuple(self.listed)


def form(
    access: Access, topology: Topology, deployment: Deployment, *, progress: Progress
) -> tuple[str, ...]:
    """Make all droplets members of one swarm as ``topology.swarm`` says, and wait until all are ready.

    Returns a description of each change, none where nothing had to be changed. Raises ``ResourceError`` for a
    droplet that cannot join, a quorum that is lost, a network that differs and is in use.
    """
    swarm = topology.swarm
    assert swarm is not None
    context = _FormContext(access, topology, swarm, deployment, progress)
    in_parallel([partial(wait_until_ready, access, node) for node in topology.droplets])
    engines = survey(access, topology.droplets)
    manager = _manager(context, engines)
    # A new swarm's manager has an id only now, and engines may have found their swarm since.
    again = [node for node, each in engines.items() if node == manager or each.state in ("pending", "error")]
    engines |= survey(access, again)
    _remove_stale(context, manager, engines)
    _join_missing(context, manager, engines)
    _await_ready(context, manager)
    manager = _assign_roles(context, manager)
    _label(context, manager)
    _set_heartbeat(context, manager, engines)
    for text in network.ensure(access, manager, swarm.overlay):
        context.record(text)
    return tuple(context.changed)


def _manager(context: _FormContext, engines: Mapping[str, Engine]) -> str:
    """A manager that answers: of the first swarm that one of the droplets manages, else of a new one."""
    run_on_manager = list(dict.fromkeys((*context.swarm.managers, *engines)))
    acting = [node for node in run_on_manager if engines[node].manager]
    if acting:
        names = list(dict.fromkeys((*acting, *context.swarm.managers)))
        manager = snapshot.first_manager(
            context.access, context.topology.name, names, deadline=MANAGER_SECONDS
        )
        return _require_address(context, manager, engines)
    for node in context.swarm.managers:
        if engines[node].state == "error":
            raise ResourceError("droplet", node, _broken(engines[node]))
    first = context.swarm.managers[0]
    if engines[first].state != "inactive":
        join.leave(context.access, first)
        context.record(f"{first} left a swarm that none of the droplets manages")
    join.init(context.access, context.deployment, first, heartbeat(context.swarm))
    context.record(f"{first} made the swarm")
    return first


def _broken(engine: Engine) -> str:
    return (
        f"is a member of a swarm that its engine cannot start: {engine.error}\n"
        "  remedy: repair that; or give up the swarm, and what it knows of services, with "
        "`docker swarm leave --force` there, and run this again"
    )


def _require_address(context: _FormContext, manager: str, engines: Mapping[str, Engine]) -> str:
    own = join.private(context.deployment, manager)
    for each in context.members(manager):
        if each.id == engines[manager].id and each.address != own:
            problem = (
                f"manages its swarm at {each.address}, and its private address is {own}\n"
                "  remedy: `docker swarm leave --force` there, and run this again"
            )
            raise ResourceError("droplet", manager, problem)
    return manager


def _is_member(member: Member, engines: Mapping[str, Engine]) -> bool:
    return bool(member.node) and engines[member.node].id == member.id


def _remove_stale(context: _FormContext, manager: str, engines: Mapping[str, Engine]) -> None:
    """Remove entries of no droplet: of disks that were rebuilt, of droplets that are gone."""
    own = {each.id for each in engines.values()}
    for each in context.members(manager):
        if _is_member(each, engines):
            continue
        if each.node in engines or each.id in own or each.status == "down" or not each.address:
            why = "its droplet was rebuilt or left" if each.node else f"no droplet has {each.address or 'it'}"
            remove_entry(context.access, manager, each)
            context.record(f"removed the stale node {each.id} ({why})")
        else:
            context.progress.note(f"swarm: {each.address} is a member and no droplet of ours; left as it is")


def remove_entry(access: Access, manager: str, member: Member) -> None:
    """Remove a node from the managers' list, and from the quorum.

    A node whose join failed half-way may be listed as a manager without being one; it cannot be demoted.
    """
    demote = f"docker node demote {member.id} >/dev/null\n" if member.reachability else ""
    run_on_manager(access, manager, f"set -e\n{demote}docker node rm --force {member.id} >/dev/null")


def _join_missing(context: _FormContext, manager: str, engines: Mapping[str, Engine]) -> None:
    """Join droplets that are not members: managers one by one, for each changes the quorum; then the rest."""
    there = {each.node for each in context.members(manager) if _is_member(each, engines)}
    missing = [node for node in engines if node not in there]
    if not missing:
        return
    tokens = join.tokens(context.access, manager)

    def join_one(node: str, role: snapshot.Role) -> None:
        if engines[node].state != "inactive":
            join.leave(context.access, node)
            context.record(f"{node} left another swarm")
        join.join(context.access, context.deployment, manager, node, tokens[role])

    for node in (each for each in context.swarm.managers if each in missing):
        join_one(node, "manager")
        context.record(f"{node} joined as manager")
    workers = [each for each in missing if each not in context.swarm.managers]
    in_parallel([partial(join_one, node, "worker") for node in workers])
    for node in workers:
        context.record(f"{node} joined as worker")


def _await_ready(context: _FormContext, manager: str) -> None:
    """Wait until the managers list all droplets as ready. Raises ``ResourceError`` with the others."""
    if not _absent(context, context.members(manager)):
        return

    def probe() -> None:
        if missing := _absent(context, context.members(manager, fresh=True)):
            raise NotYet(", ".join(f"{node} is {status}" for node, status in missing.items()))

    try:
        wait_for("all members to be ready", probe, deadline=READY_SECONDS, max_pause=0.5)
    except WaitTimeoutError as error:
        for node in _absent(context, context.members(manager)):
            if node != manager:
                join.await_reachable(context.access, context.deployment, node, manager, deadline=0)
        raise ResourceError("swarm", context.topology.name, str(error)) from error


def _absent(context: _FormContext, members: Iterable[Member]) -> dict[str, str]:
    """The droplets that are not ready, and their status."""
    listed = {each.node: each.status for each in members}
    found = {node: listed.get(node, "not on the list") for node in context.topology.droplets}
    return {node: status for node, status in found.items() if status != "ready"}


def _assign_roles(context: _FormContext, manager: str) -> str:
    """Promote first, then demote, so that there are always enough managers. Returns one of those wanted."""
    found = {each.node: each for each in context.members(manager) if each.node}
    wanted = context.swarm.managers
    new = [node for node in wanted if found[node].role != "manager"]
    surplus = [each for each in found.values() if each.role == "manager" and each.node not in wanted]
    for node in new:
        run_on_manager(context.access, manager, f"docker node promote {found[node].id} >/dev/null")
        context.record(f"{node} is a manager now")
    _await_roles(context, manager, wanted, "reachable")
    for node in new:  # others reach it shortly before it answers as a manager
        snapshot.first_manager(context.access, context.topology.name, [node], deadline=MANAGER_SECONDS)
    if not surplus:
        return manager
    stays = snapshot.a_manager(context.access, context.topology)
    for each in surplus:
        run_on_manager(context.access, stays, f"docker node demote {each.id} >/dev/null")
        context.record(f"{each.node} is a worker now")
    _await_roles(context, stays, [each.node for each in surplus], "")
    return stays


def _await_roles(context: _FormContext, manager: str, nodes: Iterable[str], wanted: str) -> None:
    """Wait until managers are reachable by the others, or workers are no longer listed as managers ("")."""
    awaited = list(nodes)

    def wrong(members: Iterable[Member]) -> list[str]:
        now = {each.node: each.reachability for each in members}
        return [f"{node} is {now.get(node) or 'no manager'}" for node in awaited if now.get(node) != wanted]

    def probe() -> None:
        if problems := wrong(context.members(manager, fresh=True)):
            raise NotYet(", ".join(problems))

    if not wrong(context.members(manager)):
        return
    awaited_state = f"{', '.join(awaited)} to be {'reachable as manager' if wanted else 'a worker'}"
    try:
        wait_for(awaited_state, probe, deadline=ROLE_SECONDS, tolerate=(CommandError,))
    except WaitTimeoutError as error:
        raise ResourceError("swarm", context.topology.name, str(error)) from error


def _label(context: _FormContext, manager: str) -> None:
    """Give members their labels, and let them take tasks."""
    lines, changes = [], []
    for each in context.members(manager):
        if each.node not in context.topology.droplets:
            continue
        change = labels.change(context.topology, each.node, each.labels)
        idle = each.availability != "active"
        if change or idle:
            lines.append(f"docker node update --availability active {change.options()} {each.id} >/dev/null")
        changes += [f"{each.node}: {change}"] if change else []
        changes += [f"{each.node} takes tasks again (was {each.availability})"] if idle else []
    if lines:
        run_on_manager(context.access, manager, "\n".join(["set -e", *lines]))
    for text in changes:
        context.record(text)


def heartbeat(swarm: Swarm) -> int:
    """The dispatcher's heartbeat, in seconds: the topology's, longer where slow nodes would seem lost."""
    return max(swarm.heartbeat, min(round(scaled(swarm.heartbeat)), SLOWEST))


def _set_heartbeat(context: _FormContext, manager: str, engines: Mapping[str, Engine]) -> None:
    wanted = heartbeat(context.swarm)
    now = engines[manager].heartbeat or inspect(context.access, manager).heartbeat
    if now is not None and now != wanted:
        run_on_manager(
            context.access, manager, f"docker swarm update --dispatcher-heartbeat {wanted}s >/dev/null"
        )
        context.record(f"heartbeat is {wanted} s now (was {now:g} s)")


def run_on_manager(access: Access, manager: str, script: str) -> None:
    """Run a script that changes something on a manager; again, while another change is under way.

    ``script`` must be idempotent. Raises ``ResourceError`` with the engine's message.
    """

    def probe() -> None:
        try:
            access.run(manager, script)
        except CommandError as error:
            message = error.output.strip()
            if any(sign in message for sign in BUSY):
                raise NotYet(message) from error
            raise ResourceError("swarm", manager, f"`{script.splitlines()[-1]}`: {message}") from error

    wait_for(f"the swarm to take a change by {manager}", probe, deadline=ORDER_SECONDS)

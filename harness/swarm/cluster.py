"""Form the swarm that a topology asks for: read :func:`form` to know the order.

Each step looks at what is there and changes only what differs. A droplet is a member if its own engine says
the id that the managers have at the droplet's private address; every other entry of theirs is somebody else.
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
from harness.swarm.survey import Engine, ask, survey
from harness.topology.deployment import Deployment
from harness.topology.model import Swarm, Topology
from harness.topology.validation.swarm import SLOWEST

READY_SECONDS = 60.0
ROLE_SECONDS = 60.0
ORDER_SECONDS = 20.0
MANAGER_SECONDS = 30.0

# What the managers say while another change is under way, or while they choose a leader.
BUSY = ("update out of sequence", "is a member of the raft cluster", "does not have a leader")


@dataclass(frozen=True)
class _Site:
    """What every step needs. ``changed`` grows; ``listed`` is the managers' list, until something changes."""

    access: Access
    topology: Topology
    swarm: Swarm
    deployment: Deployment
    progress: Progress
    changed: list[str] = field(default_factory=list)
    listed: list[Member] = field(default_factory=list)

    def did(self, text: str) -> None:
        """Tell of a change, and remember it."""
        self.progress.note(f"swarm: {text}")
        self.changed.append(text)
        self.listed.clear()

    def members(self, manager: str, *, fresh: bool = False) -> tuple[Member, ...]:
        """The managers' list; ``fresh``: as it is now, whether we changed something or not."""
        if fresh or not self.listed:
            self.listed[:] = snapshot.members(self.access, self.deployment, manager)
        return tuple(self.listed)


def form(
    access: Access, topology: Topology, deployment: Deployment, *, progress: Progress
) -> tuple[str, ...]:
    """Make all droplets members of one swarm as ``topology.swarm`` says, and wait until all are ready.

    Returns what was changed, in words; nothing is where nothing had to be. Raises ``ResourceError`` for a
    droplet that cannot join, a quorum that is lost, a network that differs and is in use.
    """
    swarm = topology.swarm
    assert swarm is not None
    site = _Site(access, topology, swarm, deployment, progress)
    in_parallel([partial(wait_until_ready, access, node) for node in topology.droplets])
    engines = survey(access, topology.droplets)
    manager = _manager(site, engines)
    engines = survey(access, topology.droplets)  # a new swarm's manager has an id only now
    _forget(site, manager, engines)
    _let_in(site, manager, engines)
    _await_ready(site, manager)
    manager = _assign_roles(site, manager)
    _mark(site, manager)
    _set_heartbeat(site, manager, engines)
    for text in network.ensure(access, manager, swarm.overlay):
        site.did(text)
    return tuple(site.changed)


def _manager(site: _Site, engines: Mapping[str, Engine]) -> str:
    """A manager that answers: of the first swarm that one of the droplets manages, else of a new one."""
    order = list(dict.fromkeys((*site.swarm.managers, *engines)))
    acting = [node for node in order if engines[node].manager]
    if acting:
        names = list(dict.fromkeys((*acting, *site.swarm.managers)))
        manager = snapshot.first_manager(site.access, site.topology.name, names, deadline=MANAGER_SECONDS)
        return _insist_on_address(site, manager, engines)
    for node in site.swarm.managers:
        if engines[node].state == "error":
            raise ResourceError("droplet", node, _broken(engines[node]))
    first = site.swarm.managers[0]
    if engines[first].state != "inactive":
        join.leave(site.access, first)
        site.did(f"{first} left a swarm that none of the droplets manages")
    join.init(site.access, site.deployment, first, heartbeat(site.swarm))
    site.did(f"{first} made the swarm")
    return first


def _broken(engine: Engine) -> str:
    return (
        f"is a member of a swarm that its engine cannot start: {engine.error}\n"
        "  remedy: mend that; or give the swarm up, and what it knows of services, with "
        "`docker swarm leave --force` there, and run this again"
    )


def _insist_on_address(site: _Site, manager: str, engines: Mapping[str, Engine]) -> str:
    own = join.private(site.deployment, manager)
    for each in site.members(manager):
        if each.id == engines[manager].id and each.address != own:
            problem = (
                f"manages its swarm at {each.address}, and its private address is {own}\n"
                "  remedy: `docker swarm leave --force` there, and run this again"
            )
            raise ResourceError("droplet", manager, problem)
    return manager


def _is_member(member: Member, engines: Mapping[str, Engine]) -> bool:
    return bool(member.node) and engines[member.node].id == member.id


def _forget(site: _Site, manager: str, engines: Mapping[str, Engine]) -> None:
    """Remove entries that stand for no droplet: of disks that were rebuilt, of droplets that are gone."""
    own = {each.id for each in engines.values()}
    for each in site.members(manager):
        if _is_member(each, engines):
            continue
        if each.node in engines or each.id in own or each.status == "down" or not each.address:
            why = "its droplet was rebuilt or left" if each.node else f"no droplet has {each.address or 'it'}"
            remove_entry(site.access, manager, each)
            site.did(f"removed the stale node {each.id} ({why})")
        else:
            site.progress.note(f"swarm: {each.address} is a member and no droplet of ours; left as it is")


def remove_entry(access: Access, manager: str, member: Member) -> None:
    """Take a node off the managers' list, and out of the quorum.

    One whose joining failed half-way may be listed as manager and be none, which nobody can demote.
    """
    demote = f"docker node demote {member.id} >/dev/null\n" if member.reachability else ""
    order(access, manager, f"set -e\n{demote}docker node rm --force {member.id} >/dev/null")


def _let_in(site: _Site, manager: str, engines: Mapping[str, Engine]) -> None:
    """Join whoever is no member: managers one by one, for each changes the quorum, then the rest at once."""
    there = {each.node for each in site.members(manager) if _is_member(each, engines)}
    missing = [node for node in engines if node not in there]
    if not missing:
        return
    tokens = join.tokens(site.access, manager)

    def let_in(node: str, role: snapshot.Role) -> None:
        if engines[node].state != "inactive":
            join.leave(site.access, node)
            site.did(f"{node} left another swarm")
        join.join(site.access, site.deployment, manager, node, tokens[role])

    for node in (each for each in site.swarm.managers if each in missing):
        let_in(node, "manager")
        site.did(f"{node} joined as manager")
    workers = [each for each in missing if each not in site.swarm.managers]
    in_parallel([partial(let_in, node, "worker") for node in workers])
    for node in workers:
        site.did(f"{node} joined as worker")


def _await_ready(site: _Site, manager: str) -> None:
    """Wait until the managers hear every droplet. Raises ``ResourceError`` with those that they do not."""
    if not _absent(site, site.members(manager)):
        return

    def probe() -> None:
        if missing := _absent(site, site.members(manager, fresh=True)):
            raise NotYet(", ".join(f"{node} is {said}" for node, said in missing.items()))

    try:
        wait_for("all members to be ready", probe, deadline=READY_SECONDS, max_pause=0.5)
    except WaitTimeoutError as error:
        for node in _absent(site, site.members(manager)):
            if node != manager:
                join.await_way(site.access, site.deployment, node, manager, deadline=0)
        raise ResourceError("swarm", site.topology.name, str(error)) from error


def _absent(site: _Site, members: Iterable[Member]) -> dict[str, str]:
    """The droplets that are not ready, and what they are."""
    status = {each.node: each.status for each in members}
    found = {node: status.get(node, "not on the list") for node in site.topology.droplets}
    return {node: said for node, said in found.items() if said != "ready"}


def _assign_roles(site: _Site, manager: str) -> str:
    """Promote and then demote, so that there is never a manager too few. Returns one of those wanted."""
    found = {each.node: each for each in site.members(manager) if each.node}
    wanted = site.swarm.managers
    new = [node for node in wanted if found[node].role != "manager"]
    surplus = [each for each in found.values() if each.role == "manager" and each.node not in wanted]
    for node in new:
        order(site.access, manager, f"docker node promote {found[node].id} >/dev/null")
        site.did(f"{node} is a manager now")
    _await_roles(site, manager, wanted, "reachable")
    for node in new:  # others reach it a moment before it answers as a manager
        snapshot.first_manager(site.access, site.topology.name, [node], deadline=MANAGER_SECONDS)
    if not surplus:
        return manager
    stays = snapshot.a_manager(site.access, site.topology)
    for each in surplus:
        order(site.access, stays, f"docker node demote {each.id} >/dev/null")
        site.did(f"{each.node} is a worker now")
    _await_roles(site, stays, [each.node for each in surplus], "")
    return stays


def _await_roles(site: _Site, manager: str, nodes: Iterable[str], wanted: str) -> None:
    """Wait until managers are reachable by the others, or workers no longer counted among them ("")."""
    awaited = list(nodes)

    def wrong(members: Iterable[Member]) -> list[str]:
        seen = {each.node: each.reachability for each in members}
        return [f"{node} is {seen.get(node) or 'no manager'}" for node in awaited if seen.get(node) != wanted]

    def probe() -> None:
        if said := wrong(site.members(manager, fresh=True)):
            raise NotYet(", ".join(said))

    if not wrong(site.members(manager)):
        return
    told = f"{', '.join(awaited)} to be {'reachable as manager' if wanted else 'a worker'}"
    try:
        wait_for(told, probe, deadline=ROLE_SECONDS, tolerate=(CommandError,))
    except WaitTimeoutError as error:
        raise ResourceError("swarm", site.topology.name, str(error)) from error


def _mark(site: _Site, manager: str) -> None:
    """Give members their labels, and let them take tasks."""
    lines, told = [], []
    for each in site.members(manager):
        if each.node not in site.topology.droplets:
            continue
        change = labels.change(site.topology, each.node, each.labels)
        idle = each.availability != "active"
        if change or idle:
            lines.append(f"docker node update --availability active {change.options()} {each.id} >/dev/null")
        told += [f"{each.node}: {change}"] if change else []
        told += [f"{each.node} takes tasks again (was {each.availability})"] if idle else []
    if lines:
        order(site.access, manager, "\n".join(["set -e", *lines]))
    for text in told:
        site.did(text)


def heartbeat(swarm: Swarm) -> int:
    """The dispatcher's, in seconds: the topology's, stretched where nodes are so slow that they seem lost."""
    return max(swarm.heartbeat, min(round(scaled(swarm.heartbeat)), SLOWEST))


def _set_heartbeat(site: _Site, manager: str, engines: Mapping[str, Engine]) -> None:
    wanted = heartbeat(site.swarm)
    now = engines[manager].heartbeat or ask(site.access, manager).heartbeat
    if now is not None and now != wanted:
        order(site.access, manager, f"docker swarm update --dispatcher-heartbeat {wanted}s >/dev/null")
        site.did(f"heartbeat is {wanted} s now (was {now:g} s)")


def order(access: Access, manager: str, script: str) -> None:
    """Have a manager change something; again, while another change is under way.

    ``script`` must be one that can be run twice. Raises ``ResourceError`` with what the engine said.
    """

    def probe() -> None:
        try:
            access.run(manager, script)
        except CommandError as error:
            said = error.output.strip()
            if any(sign in said for sign in BUSY):
                raise NotYet(said) from error
            raise ResourceError("swarm", manager, f"`{script.splitlines()[-1]}`: {said}") from error

    wait_for(f"the swarm to take a change by {manager}", probe, deadline=ORDER_SECONDS)

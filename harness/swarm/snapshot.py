"""Read a swarm: its members, services and tasks, each or all of them with one command on a manager.

Engine 20.10 and later are asked for JSON with ``docker ... inspect``, whose shape is that of their API.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

from harness.access.ssh import REMOTE_FAILURE, Access
from harness.core.errors import CommandError, ResourceError, WaitTimeoutError
from harness.core.parallel import Pool
from harness.core.wait import NotYet, scaled, wait_for
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

Role = Literal["manager", "worker"]

READ_SECONDS = 30.0
ASK_SECONDS = 10.0  # whether one manager answers: a dead one is silent
GRACE_SECONDS = 1.0  # for the preferred managers, once a less preferred one has answered

NAMESPACE = "com.docker.stack.namespace"

# What is listed may be gone when it is inspected ("No such node: x"; since Engine 25 "node x not found").
# Each prints a line of JSON; sections are separated by ---. LABEL stands for that of the stack.
INSPECT_EXISTING = """\
exec 3>&1
inspect_existing() {
  message=$(docker "$@" 2>&1 >&3) && return
  if printf '%s\\n' "$message" | grep -Eqvi 'no such|not found|^$'; then
    printf '%s\\n' "$message" >&2; exit 1
  fi
}
"""
NODES = """\
nodes=$(docker node ls -q) || exit
inspect_existing node inspect --format '{{json .}}' $nodes
"""
SERVICES = """\
listed=$(docker service ls --filter label=LABEL --format '{{.ID}} {{json .}}') || exit
[ -n "$listed" ] || exit 0
services=$(printf '%s\\n' "$listed" | cut -d ' ' -f 1)
"""
STATES = """\
printf '%s\\n' "$listed" | cut -d ' ' -f 2-
echo ---
"""
SPECS = """\
inspect_existing service inspect --format '{{json .}}' $services
"""
TASKS = """\
echo ---
tasks=$(docker service ps -q --no-trunc $services) || exit
[ -z "$tasks" ] || inspect_existing inspect --type task --format '{{json .}}' $tasks
"""

# A manager without a leader fails here, and says so; but while it waits for an election, it is silent for
# long.
ALIVE = """\
timeout {seconds} docker node ls -q >/dev/null || {{
  code=$?; [ $code = 124 ] && echo "it waits for a leader" >&2; exit $code
}}
"""
LEADER_SECONDS = 4.0
LEADERLESS = ("does not have a leader", "waits for a leader", "DeadlineExceeded")


@dataclass(frozen=True)
class Member:
    """One entry of the swarm's list of nodes. A droplet that was rebuilt may have two, one of them ``down``.

    ``node`` is the droplet with that ``address``, a private one; empty where no droplet has it.
    ``reachability`` is a manager's ("reachable", "unreachable"), and empty for workers.
    """

    node: str
    id: str
    role: Role
    status: str
    availability: str
    leader: bool
    reachability: str
    address: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class ServiceState:
    """A service of the stack, without the stack's name. ``image`` is what its tasks run.

    ``update`` is the state of the last rolling update ("updating", "paused", "completed", "rollback_started",
    "rollback_paused", "rollback_completed") with its ``message``; both are empty where there was none.
    """

    name: str
    id: str
    image: str
    running: int
    desired: int
    update: str
    message: str


@dataclass(frozen=True)
class Task:
    """One task, present or past, of the service ``service``, named without the stack.

    ``node`` is the droplet that it is assigned to, empty as long as it is to none. ``desired`` and ``state``
    are Docker's words ("running", "shutdown", "failed", "rejected", ...), ``error`` is the task's own, ``at``
    is when it came to its state, as Docker writes times. ``container`` is empty before there is one.
    """

    id: str
    service: str
    slot: int
    node: str
    desired: str
    state: str
    error: str
    image: str
    container: str
    at: str


def members(access: Access, deployment: Deployment, manager: str) -> tuple[Member, ...]:
    """Every entry of the swarm's list of nodes, by droplet; those that are no droplet come last."""
    return _members(documents(_read(access, manager, NODES)), deployment)


def services(access: Access, manager: str, stack: str) -> tuple[ServiceState, ...]:
    """Every service of the stack, by name; empty where there is no such stack."""
    rows, _, inspected = _read(access, manager, SERVICES + STATES + SPECS, stack).partition("---\n")
    return _services(documents(rows), documents(inspected), stack)


def tasks(
    access: Access, deployment: Deployment, manager: str, stack: str, service: str = ""
) -> tuple[Task, ...]:
    """Tasks of the stack, or of one of its services, by service and slot, the newest of a slot first.

    Past ones are there as long as Docker remembers them.
    """
    parts = _read(access, manager, f"{NODES}echo ---\n{SERVICES}{SPECS}{TASKS}", stack).split("---\n")
    nodes, specs, listed = (documents(part) for part in (*parts, "", "")[:3])
    return tuple(
        each for each in _tasks(nodes, specs, listed, deployment, stack) if service in ("", each.service)
    )


@dataclass(frozen=True)
class Documents:
    """What the engine says of a stack, each as Docker's API has it; ``rows`` are those of ``service ls``."""

    nodes: Sequence[Mapping[str, Any]]
    rows: Sequence[Mapping[str, Any]]
    services: Sequence[Mapping[str, Any]]
    tasks: Sequence[Mapping[str, Any]]


def read(access: Access, manager: str, stack: str) -> Documents:
    """All of a stack with one command."""
    script = f"{NODES}echo ---\n{SERVICES}{STATES}{SPECS}{TASKS}"
    parts = _read(access, manager, script, stack).split("---\n")
    return Documents(*(documents(part) for part in (*parts, "", "", "")[:4]))


def described(
    found: Documents, deployment: Deployment, stack: str
) -> tuple[tuple[Member, ...], tuple[ServiceState, ...], tuple[Task, ...]]:
    """The members, services and tasks in these documents, as the functions of these names return them."""
    return (
        _members(found.nodes, deployment),
        _services(found.rows, found.services, stack),
        _tasks(found.nodes, found.services, found.tasks, deployment, stack),
    )


def a_manager(access: Access, topology: Topology, *, deadline: float = 30.0) -> str:
    """The first of the topology's managers that answers as one, in a swarm that has a leader.

    Where an earlier one is silent, a later one that has answered is taken after a second. Raises
    ``ResourceError`` with each manager's reply when ``deadline`` seconds have passed.
    """
    names = topology.swarm.managers if topology.swarm else ()
    return first_manager(access, topology.name, names, deadline=deadline)


def first_manager(access: Access, swarm: str, names: Sequence[str], *, deadline: float) -> str:
    """As :func:`a_manager`, the first of ``names``; ``swarm`` is its name in errors."""
    replies: dict[str, str] = {}

    def probe() -> str:
        replies.clear()
        found = _first_answer(names, lambda name: _ask(access, name), replies)
        if found is None:
            raise NotYet("none answers as a manager")
        return found

    try:
        return wait_for("a manager of the swarm", probe, deadline=deadline)
    except WaitTimeoutError as error:
        raise ResourceError("swarm", swarm, no_manager(replies)) from error


def no_manager(replies: Mapping[str, str]) -> str:
    """Why no manager is available, and what to do. ``replies``: each manager's reply or error, by name."""
    each = "".join(f"\n  {name}: {text}" for name, text in replies.items())
    alive = [name for name, text in replies.items() if any(sign in text for sign in LEADERLESS)]
    if not alive:
        return f"none of its {len(replies)} managers answers as one{each}"
    needed = len(replies) // 2 + 1
    return (
        f"quorum is lost: {len(alive)} of {len(replies)} managers answer, and it takes {needed}. "
        f"What runs goes on, and nothing can be changed or is rescheduled{each}\n"
        "  remedy: power the others on; or, if they are gone for good, `docker swarm init "
        f"--force-new-cluster` on {alive[0]}: it is the only manager then, and knows nothing of the others"
    )


def _first_answer(names: Sequence[str], ask: Callable[[str], str], replies: dict[str, str]) -> str | None:
    """The first of ``names`` for which ``ask`` returns "", else None; ``replies`` gets all results."""
    pool = Pool(max(len(names), 1), thread_name_prefix="manager")
    try:
        asked = {name: pool.submit(ask, name) for name in names}
        pending: set[Future[str]] = set(asked.values())
        while pending:
            grace = GRACE_SECONDS if _answered(asked) else None
            done, pending = wait(pending, timeout=grace, return_when=FIRST_COMPLETED)
            first = _answered(asked)
            earlier = [asked[name] for name in names[: names.index(first)]] if first else []
            if first and (not done or all(each.done() for each in earlier)):
                return first
        replies.update((name, each.result()) for name, each in asked.items())
        return None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _answered(asked: Mapping[str, Future[str]]) -> str | None:
    return next((name for name, each in asked.items() if each.done() and not each.result()), None)


def _ask(access: Access, name: str) -> str:
    """ "" if ``name`` answers as a manager with a leader, else its reply or error."""
    script = ALIVE.format(seconds=ceil(scaled(LEADER_SECONDS)))
    try:
        access.run(name, script, deadline=ASK_SECONDS)
    except (CommandError, WaitTimeoutError, ResourceError) as error:
        if not isinstance(error, CommandError) or error.returncode == REMOTE_FAILURE:
            access.drop(name)  # its power may have been cut, and the open connection would hang
        return _message(error)
    return ""


def _message(error: CommandError | WaitTimeoutError | ResourceError) -> str:
    """A manager's own message, or that it was silent; without our command, which is in the error, too."""
    if isinstance(error, CommandError):
        return error.output.strip() or f"exit {error.returncode}"
    if isinstance(error, WaitTimeoutError):
        return f"no answer within {error.seconds:.0f} s"
    return str(error)


def documents(text: str) -> list[dict[str, Any]]:
    """The JSON documents in ``text``, one a line, as ``--format '{{json .}}'`` prints them."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _read(access: Access, manager: str, script: str, stack: str = "") -> str:
    label = shlex.quote(f"{NAMESPACE}={stack}")
    return access.run(manager, INSPECT_EXISTING + script.replace("LABEL", label), deadline=READ_SECONDS)


def _members(listed: Iterable[Mapping[str, Any]], deployment: Deployment) -> tuple[Member, ...]:
    found = [_member(each, deployment) for each in listed]
    order = {name: place for place, name in enumerate(deployment.nodes)}
    return tuple(sorted(found, key=lambda each: (order.get(each.node, len(order)), each.status, each.id)))


def _services(
    rows: Iterable[Mapping[str, Any]], specs: Iterable[Mapping[str, Any]], stack: str
) -> tuple[ServiceState, ...]:
    counts = {row["Name"]: row["Replicas"] for row in rows}
    found = [
        _service(each, stack, counts[each["Spec"]["Name"]])
        for each in specs
        if each["Spec"]["Name"] in counts
    ]
    return tuple(sorted(found, key=lambda each: each.name))


def _tasks(
    nodes: Iterable[Mapping[str, Any]],
    specs: Iterable[Mapping[str, Any]],
    listed: Iterable[Mapping[str, Any]],
    deployment: Deployment,
    stack: str,
) -> tuple[Task, ...]:
    where = {each["ID"]: _member(each, deployment).node for each in nodes}
    names = {each["ID"]: _short(each["Spec"]["Name"], stack) for each in specs}
    found = [_task(each, where, names) for each in listed if each["ServiceID"] in names]
    found.sort(key=lambda each: each.at, reverse=True)
    return tuple(sorted(found, key=lambda each: (each.service, each.slot)))


def _short(name: str, stack: str) -> str:
    return name.removeprefix(f"{stack}_")


def _member(node: Mapping[str, Any], deployment: Deployment) -> Member:
    spec, status, manager = node["Spec"], node["Status"], node.get("ManagerStatus") or {}
    # A manager's own status may say 0.0.0.0; the address that other managers use is true.
    address = str(manager.get("Addr", "")).rpartition(":")[0] or str(status.get("Addr", ""))
    by_address = {each.private_ip: name for name, each in deployment.nodes.items() if each.private_ip}
    return Member(
        node=by_address.get(address, ""),
        id=node["ID"],
        role=spec["Role"],
        status=status["State"],
        availability=spec["Availability"],
        leader=bool(manager.get("Leader")),
        reachability=manager.get("Reachability", ""),
        address=address,
        labels=dict(spec.get("Labels") or {}),
    )


def _service(service: Mapping[str, Any], stack: str, replicas: str) -> ServiceState:
    spec, update = service["Spec"], service.get("UpdateStatus") or {}
    running, _, desired = replicas.partition(" ")[0].partition("/")  # "2/3 (max 1 per node)"
    return ServiceState(
        name=_short(spec["Name"], stack),
        id=service["ID"],
        image=spec["TaskTemplate"]["ContainerSpec"]["Image"],
        running=int(running),
        desired=int(desired),
        update=update.get("State", ""),
        message=update.get("Message", ""),
    )


def _task(task: Mapping[str, Any], where: Mapping[str, str], names: Mapping[str, str]) -> Task:
    status = task["Status"]
    return Task(
        id=task["ID"],
        service=names[task["ServiceID"]],
        slot=int(task.get("Slot", 0)),
        node=where.get(task.get("NodeID", ""), ""),
        desired=task["DesiredState"],
        state=status["State"],
        error=status.get("Err", ""),
        image=task["Spec"]["ContainerSpec"]["Image"],
        container=(status.get("ContainerStatus") or {}).get("ContainerID", ""),
        at=status["Timestamp"],
    )

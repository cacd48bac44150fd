"""Waiting until a stack is as it was ordered: every service at its replicas, every task healthy."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from harness.access.ssh import Access
from harness.core.errors import CommandError, ResourceError, WaitTimeoutError
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.swarm import snapshot
from harness.swarm.snapshot import Member, ServiceState, Task
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

DEADLINE = 180.0
LOG_LINES = 20
# A program that waits for what it needs may fail once or twice; what fails this often does so by itself.
FAILURES = 5
REFUSALS = 3
ENDED_WELL = ("running", "shutdown", "complete", "remove", "orphaned")
UPDATING = ("updating", "rollback_started")
STUCK = ("paused", "rollback_paused")
ROLLED_BACK = "rollback_completed"


@dataclass(frozen=True)
class State:
    """One look at a stack: its members, services and tasks."""

    members: tuple[Member, ...]
    services: tuple[ServiceState, ...]
    tasks: tuple[Task, ...]

    def running(self, service: str) -> tuple[Task, ...]:
        """The service's tasks that run, on members that are there: a dead one's tasks still say running."""
        ready = {each.node for each in self.members if each.status == "ready"}
        return tuple(
            each
            for each in self.tasks
            if each.service == service and each.state == each.desired == "running" and each.node in ready
        )

    def leaving(self, service: str) -> tuple[Task, ...]:
        """Tasks that are to end and have not yet, on members that are there."""
        ready = {each.node for each in self.members if each.status == "ready"}
        return tuple(
            each
            for each in self.tasks
            if each.service == service
            and each.desired in ("shutdown", "remove")
            and each.state in ("running", "starting", "preparing")
            and each.node in ready
        )


def look_at(access: Access, topology: Topology, deployment: Deployment, manager: str) -> State:
    """One look, by ``manager``."""
    assert topology.swarm is not None
    stack = topology.swarm.stack
    return State(
        snapshot.members(access, deployment, manager),
        snapshot.services(access, manager, stack),
        snapshot.tasks(access, deployment, manager, stack),
    )


def short_of(state: State, services: Collection[str] | None = None) -> list[str]:
    """What is missing until every service (or each of ``services``) is as ordered, in words."""
    missing = [
        f"no service {name}" for name in services or () if name not in {one.name for one in state.services}
    ]
    for each in state.services:
        if services is not None and each.name not in services:
            continue
        running = len(state.running(each.name))
        if running != each.desired:
            missing.append(f"{each.name} has {running} of {each.desired} tasks{_why(state, each.name)}")
        elif each.update in UPDATING:
            missing.append(f"{each.name} is {each.update}: {each.message}")
        elif left := state.leaving(each.name):
            missing.append(f"{len(left)} old tasks of {each.name} still end")
    return missing


def _why(state: State, service: str) -> str:
    """What the tasks that do not run say of themselves."""
    said = [
        f"{each.state}{f' on {each.node}' if each.node else ''}{f': {each.error}' if each.error else ''}"
        for each in state.tasks
        if each.service == service and each.desired in ("running", "ready") and each.state != "running"
    ]
    failed = _failed(state, service)
    said += [f"{each.state} on {each.node}: {each.error}" for each in failed[:1]]
    return f" ({'; '.join(dict.fromkeys(said))})" if said else ""


def _failed(state: State, service: str, since: Mapping[str, object] | None = None) -> list[Task]:
    """The service's tasks that ended in an error, the newest first, but for those already in ``since``."""
    found = [
        each
        for each in state.tasks
        if each.service == service and each.state in ("failed", "rejected") and each.id not in (since or {})
    ]
    return sorted(found, key=lambda each: each.at, reverse=True)


def converge(
    access: Access,
    topology: Topology,
    deployment: Deployment,
    *,
    services: Collection[str] | None = None,
    before: State | None = None,
    deadline: float = DEADLINE,
    progress: Progress | None = None,
) -> State:
    """Wait until every service (or each of ``services``) is at its replicas, and return what was seen then.

    ``before``: how it was before the change that is waited for; failures of then do not count. Raises
    ``ResourceError`` with the failing task's own error and its last log lines: at once where an update
    stopped or went back, or a task failed over and over, else when ``deadline`` seconds have passed.
    """
    manager = snapshot.a_manager(access, topology)
    old = {each.id: each for each in before.tasks} if before else {}
    last: list[State] = []

    def probe() -> State:
        state = look_at(access, topology, deployment, manager)
        last[:] = [state]
        _give_up(access, manager, state, services, old)
        if missing := short_of(state, services):
            raise NotYet("; ".join(missing))
        return state

    tolerate = (CommandError, WaitTimeoutError)
    try:
        return wait_for("the stack to converge", probe, deadline=deadline, max_pause=0.7, tolerate=tolerate)
    except WaitTimeoutError as error:
        if progress:
            progress.note(str(error))
        raise ResourceError(
            "stack", _stack(topology), f"{error}{_tell(access, manager, last, services)}"
        ) from error


def _stack(topology: Topology) -> str:
    return topology.swarm.stack if topology.swarm else topology.name


def _give_up(
    access: Access,
    manager: str,
    state: State,
    services: Collection[str] | None,
    old: Mapping[str, Task],
) -> None:
    """Raise ``ResourceError`` for what will not come right by waiting."""
    for each in state.services:
        if services is not None and each.name not in services:
            continue
        failed = _failed(state, each.name, old)
        refused = [task for task in failed if task.state == "rejected"]
        if each.update in STUCK:
            problem = f"its update stopped: {each.message}"
        elif each.update == ROLLED_BACK and failed:
            problem = "its update was rolled back, and what ran before goes on"
        elif len(failed) >= FAILURES or len(refused) >= REFUSALS:
            problem = f"its tasks failed {len(failed)} times"
        else:
            continue
        raise ResourceError("service", each.name, f"{problem}{_last_words(access, manager, failed)}")


def _tell(access: Access, manager: str, last: Sequence[State], services: Collection[str] | None) -> str:
    """The last words of the newest task that failed, of those waited for."""
    for state in last:
        for each in state.services:
            failed = _failed(state, each.name) if services is None or each.name in services else []
            if failed and len(state.running(each.name)) < each.desired:
                return _last_words(access, manager, failed)
    return ""


def _last_words(access: Access, manager: str, failed: Sequence[Task]) -> str:
    if not failed:
        return ""
    task = failed[0]
    told = f"\n  task {task.service}.{task.slot} on {task.node or 'no node'}: {task.state}: {task.error}"
    script = f"timeout 10 docker service logs --raw --tail {LOG_LINES} {task.id} 2>&1 | tail -n {LOG_LINES}"
    try:
        logs = access.run(manager, script, deadline=20).strip()
    except (CommandError, WaitTimeoutError) as error:
        logs = f"(its log cannot be read: {error})"
    return told + "".join(f"\n    {line}" for line in access.mask(logs).splitlines())

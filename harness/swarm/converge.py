"""Waiting until a stack has converged: every service at its replicas, every task healthy."""

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
# A program that waits for its dependencies may fail once or twice; one that fails this often is broken.
FAILURES = 5
REFUSALS = 3
ENDED_WELL = ("running", "shutdown", "complete", "remove", "orphaned")
UPDATING = ("updating", "rollback_started")
STUCK = ("paused", "rollback_paused")
ROLLED_BACK = "rollback_completed"


@dataclass(frozen=True)
class State:
    """A snapshot of a stack: its members, services and tasks."""

    members: tuple[Member, ...]
    services: tuple[ServiceState, ...]
    tasks: tuple[Task, ...]

    def running(self, service: str) -> tuple[Task, ...]:
        """The service's tasks that run on ready members; those of a dead member still claim to run."""
        ready = {each.node for each in self.members if each.status == "ready"}
        return tuple(
            each
            for each in self.tasks
            if each.service == service and each.state == each.desired == "running" and each.node in ready
        )

    def leaving(self, service: str) -> tuple[Task, ...]:
        """Tasks that should end and have not ended yet, on ready members."""
        ready = {each.node for each in self.members if each.status == "ready"}
        return tuple(
            each
            for each in self.tasks
            if each.service == service
            and each.desired in ("shutdown", "remove")
            and each.state in ("running", "starting", "preparing")
            and each.node in ready
        )


def inspect_stack(access: Access, topology: Topology, deployment: Deployment, manager: str) -> State:
    """A snapshot of the topology's stack, read from ``manager``."""
    assert topology.swarm is not None
    stack = topology.swarm.stack
    return State(*snapshot.described(snapshot.read(access, manager, stack), deployment, stack))


def shortfall(state: State, services: Collection[str] | None = None) -> list[str]:
    """Descriptions of what is missing until every service (or each of ``services``) has converged."""
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
    """State and error of the tasks that do not run."""
    reasons = [
        f"{each.state}{f' on {each.node}' if each.node else ''}{f': {each.error}' if each.error else ''}"
        for each in state.tasks
        if each.service == service and each.desired in ("running", "ready") and each.state != "running"
    ]
    failed = _failed(state, service)
    reasons += [f"{each.state} on {each.node}: {each.error}" for each in failed[:1]]
    return f" ({'; '.join(dict.fromkeys(reasons))})" if reasons else ""


def _failed(state: State, service: str, since: Mapping[str, object] | None = None) -> list[Task]:
    """The service's tasks that ended in an error, the newest first, without those already in ``since``."""
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
    """Wait until every service (or each of ``services``) is at its replicas, and return that state.

    ``before``: the state before the change that is waited for; failures in it do not count. Raises
    ``ResourceError`` with the failing task's own error and its last log lines: at once where an update
    stopped or was rolled back, or a task failed over and over, else when ``deadline`` seconds have passed.
    """
    manager = snapshot.a_manager(access, topology)
    old = {each.id: each for each in before.tasks} if before else {}
    last: list[State] = []

    def probe() -> State:
        state = inspect_stack(access, topology, deployment, manager)
        last[:] = [state]
        _give_up(access, manager, state, services, old)
        if missing := shortfall(state, services):
            raise NotYet("; ".join(missing))
        return state

    tolerate = (CommandError, WaitTimeoutError)
    try:
        return wait_for("the stack to converge", probe, deadline=deadline, max_pause=0.7, tolerate=tolerate)
    except WaitTimeoutError as error:
        if progress:
            progress.note(str(error))
        raise ResourceError(
            "stack", _stack(topology), f"{error}{_failure(access, manager, last, services)}"
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
    """Raise ``ResourceError`` for a failure that waiting does not cure."""
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
        raise ResourceError("service", each.name, f"{problem}{_last_log_lines(access, manager, failed)}")


def _failure(access: Access, manager: str, last: Sequence[State], services: Collection[str] | None) -> str:
    """The last log lines of the newest task that failed, of the services waited for."""
    for state in last:
        for each in state.services:
            failed = _failed(state, each.name) if services is None or each.name in services else []
            if failed and len(state.running(each.name)) < each.desired:
                return _last_log_lines(access, manager, failed)
    return ""


def _last_log_lines(access: Access, manager: str, failed: Sequence[Task]) -> str:
    if not failed:
        return ""
    task = failed[0]
    text = f"\n  task {task.service}.{task.slot} on {task.node or 'no node'}: {task.state}: {task.error}"
    script = f"timeout 10 docker service logs --raw --tail {LOG_LINES} {task.id} 2>&1 | tail -n {LOG_LINES}"
    try:
        logs = access.run(manager, script, deadline=20).strip()
    except (CommandError, WaitTimeoutError) as error:
        logs = f"(its log cannot be read: {error})"
    return text + "".join(f"\n    {line}" for line in access.mask(logs).splitlines())

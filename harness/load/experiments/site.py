"""Make a :class:`Bench` of a deployment: its route, its monitoring, and how its workers are scaled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from harness.core.errors import UsageError, WavetankError
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.deploy import scale as projects
from harness.judge0.model import EntryPoint, SubmissionMode
from harness.judge0.route import open_route, to_judge0
from harness.judge0.workers import WorkerCount, named_nodes
from harness.load.experiments.bench import Bench, Generate
from harness.load.generator.generator import generate
from harness.load.live import live
from harness.load.watch.environment import environment
from harness.load.watch.kinds import Kinds, kinds
from harness.load.watch.watching import watching
from harness.load.workload import load_workload
from harness.run.session import Session
from harness.swarm import scale as swarms

ASK_SECONDS = 5.0
REGISTER_SECONDS = 60.0
SCALABLE = "worker"


@dataclass(frozen=True)
class LoadSettings:
    """The load: a workload's name or file, the entry point and the submission mode.

    ``mode`` None: whatever measures the workers of the Judge0 that is found. ``token`` is its
    ``X-Auth-Token`` where it is another than the topology's, ``callback_url`` where its workers reach this
    machine.
    """

    workload: str | Path = "hello"
    entry_point: EntryPoint = "judge0"
    mode: SubmissionMode | None = None
    seed: int | None = None
    connections: int = 256
    timeout: float = 60.0
    drain: float = 60.0
    token: str = ""
    callback_url: str = ""
    generate: Generate = generate
    stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def open_bench(session: Session, settings: LoadSettings, progress: Progress) -> Iterator[Bench]:
    """The deployment under load, as long as the block lasts.

    Raises ``UsageError`` for a workload, entry point or mode that cannot be used, ``ResourceError`` and
    ``CommandError`` if the entry point cannot be reached.
    """
    workload = load_workload(settings.workload)
    known = kinds(session.topology)
    with ExitStack() as stack:
        opened = open_route(
            session,
            settings.entry_point,
            settings.mode,
            token=settings.token,
            callback_url=settings.callback_url,
        )
        route, capabilities = stack.enter_context(opened)
        judge0 = None
        if session.topology.checks.judge0:
            judge0 = stack.enter_context(to_judge0(session, token=settings.token))
        ask = partial(_ask, judge0) if judge0 else None
        count = WorkerCount(ask, session.access, named_nodes(session.topology)) if ask else None
        tasks = worker_tasks(session, known)
        with progress.step("inspect the environment"):
            facts = environment(
                session.access, session.deployment, session.topology, session.target, ask=ask, count=count
            )
        yield Bench(
            workload=workload,
            route=route,
            generate=settings.generate,
            cores=_cores(session, known, facts),
            kinds=known,
            capabilities=capabilities.to_dict() if capabilities else {},
            environment=facts,
            watch=partial(
                watching,
                session.access,
                session.deployment,
                session.topology,
                session.target,
                count_workers=count,
            ),
            live=live,
            stop=settings.stop,
            scale=_scaler(session, known, count, progress),
            workers=tasks,
            slots=_slots(count, tasks),
            queue_limit=capabilities.queue_limit if capabilities else None,
            note=progress.note,
            connections=settings.connections,
            timeout=settings.timeout,
            drain=settings.drain,
            seed=workload.seed if settings.seed is None else settings.seed,
        )


def worker_service(session: Session, known: Kinds) -> str:
    """The one service whose tasks run programs. Raises ``UsageError`` if there is none, or several."""
    found = [name for name, kind in known.services.items() if kind == SCALABLE]
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise UsageError(
            f"topology {session.topology.name}: one service must run the programs, to be scaled: "
            f"{names} does; checks.judge0.workers names the nodes of one"
        )
    return found[0]


def _ask(client: httpx.Client, path: str) -> Any:
    return client.get(path, timeout=ASK_SECONDS).raise_for_status().json()


def _scaler(
    session: Session, known: Kinds, count_workers: WorkerCount | None, progress: Progress
) -> Callable[[int], None]:
    def scale(count: int) -> None:
        service = worker_service(session, known)
        change = swarms.scale if session.topology.swarm and _is_stacked(session, service) else projects.scale
        change(session.access, session.topology, session.deployment, {service: count}, progress=progress)
        if count_workers is not None:
            _await_workers(count_workers, count)

    return scale


def _await_workers(count_workers: WorkerCount, count: int) -> None:
    """Wait until all tasks are at work: each has one worker or more, all the same number."""

    def probe() -> None:
        found = count_workers().total
        if count and (found < count or found % count):
            raise NotYet(f"there are {found} workers")

    wait_for(f"the workers of {count} worker tasks", probe, deadline=REGISTER_SECONDS)


def _slots(count_workers: WorkerCount | None, tasks: int | None) -> int | None:
    """How many programs one worker task runs at once."""
    if count_workers is None or not tasks:
        return None
    try:
        found = count_workers().total
    except (httpx.HTTPError, WavetankError, ValueError):
        return None
    return found // tasks or None


def _is_stacked(session: Session, service: str) -> bool:
    swarm = session.topology.swarm
    return swarm is not None and service in {each.name for each in swarm.services}


def worker_tasks(session: Session, known: Kinds) -> int | None:
    """How many worker tasks run now; None if unknown, as where several services of one compose file may."""
    with suppress(UsageError):  # it would say how to scale them, which not every experiment does
        return _running(session, worker_service(session, known))
    return None


def _running(session: Session, service: str) -> int:
    if _is_stacked(session, service):
        from harness.swarm.reach import running

        return len(running(session.access, session.topology, session.deployment, service))
    return projects.count(session.access, session.topology, service)


def _cores(session: Session, known: Kinds, facts: dict[str, Any]) -> int:
    """The cores that workers run on: those of their nodes, or of this machine if the nodes share it."""
    if session.target.info:
        return int(facts["machine"]["cores"])
    workers = [name for name, kind in known.nodes.items() if kind == SCALABLE]
    return sum(int(facts["nodes"][name].get("cores") or 1) for name in workers) or 1

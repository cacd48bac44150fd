"""A swarm is changed under load: services updated, rolled back and scaled, members removed and joined again.

Everything is as it was afterwards. What is submitted at the front door meanwhile is recorded in a history, as
when nodes lose their power, and none of it may be lost.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from harness.access.ssh import Access
from harness.core.errors import CheckFailedError, ResourceError
from harness.core.progress import Progress
from harness.faults import final_status
from harness.faults.pace import measure
from harness.faults.steady import Request, Requests
from harness.faults.workload import Source, Workload, failed_requests, requesting, submitting
from harness.judge0.client import Judge0
from harness.judge0.route import to_judge0
from harness.judge0.workers import WorkerCount, named_nodes
from harness.run.session import Session
from harness.swarm import cluster, converge, join, rotate, snapshot
from harness.swarm.scale import scale
from harness.swarm.snapshot import Task
from harness.topology.deployment import Deployment
from harness.topology.model import FrontDoor, Swarm, Topology
from harness.verify.balancer import request_counts
from harness.verify.disturbing import Note
from harness.verify.swarm import workers as swarm_workers
from harness.verify.swarm.change import COMPLETED, ROLLED_BACK, broken_image, ended, loaded, replace, update
from harness.verify.swarm.discovery import independent, owners, referred_to, refers_to
from harness.verify.swarm.view import View, inspect

pytestmark = pytest.mark.disturbs

MORE = 5
SHOWN = 3
NO_TOKEN = "A valid join token is necessary"  # SwarmKit's manager, manager/ca.go
SOME = 5  # submissions before and after a change, to compare with
TOKEN = re.compile(rb"SWMTKN-1-[0-9a-z]{20,}")


@pytest.fixture(scope="module")
def load(swarm: Swarm, session: Session, door: FrontDoor) -> Iterator[Workload]:
    """Submissions and requests at the front door that go on through all of this."""
    source = Source(session.target, door, session.deployment.nodes[door.node].public_ip or "")
    file = session.choice.run_dir.path / "history-swarm.jsonl"
    with submitting(source, file, requests=True, pace=measure) as found:
        yield found


def test_a_bad_image_is_rolled_back(load: Workload, session: Session, swarm: Swarm, note: Note) -> None:
    """By the swarm itself, to the earlier image; meanwhile nothing fails, for the old tasks go on."""
    made, image = owners(swarm), broken_image()
    service = max(referred_to(swarm), key=lambda name: made[name].replicas)
    good = image_of(inspect(session), service)
    since = load.await_more(SOME)
    with loaded(session.access, made[service].nodes, image), restored(session, service, good):
        found = update(session, service, "--image", image.id)
        took = time.time() - since
        load.await_more(SOME)
        left = image_of(inspect(session), service)
    note(f"{service}: {found.update} after {took:.0f} s: {found.message}; {load.describe(since)}")
    assert found.update == ROLLED_BACK, found.message
    assert left == good
    require_none(load.failed(since))


def test_a_drained_node_gives_its_tasks_away(load: Workload, session: Session, note: Note) -> None:
    """They run elsewhere, it has none, and then it is active again."""
    before = inspect(session)
    node = spare(before)[0]
    moved = ", ".join(f"{each.service}.{each.slot}" for each in before.running() if each.node == node)
    since = load.await_more(SOME)
    with drained(session, before, node):
        converged(session, before)
        took = time.time() - since
        during = inspect(session)
    load.await_more(SOME)
    note(f"{node} gave {moved or 'nothing'} away in {took:.0f} s; {len(load.failed(since))} failed meanwhile")
    assert availability(during, node) == "drain"
    assert [each.service for each in during.running() if each.node == node] == []
    assert availability(inspect(session), node) == "active"


def test_a_removed_node_comes_back(
    absence: Absence, session: Session, topology: Topology, note: Note
) -> None:
    """Off the members' list once it was removed, and with the next ``up`` a member as before."""
    note(f"{absence.node}: {'; '.join(absence.changed)}")
    assert absence.node not in absence.members
    back = inspect(session)
    (member,) = [each for each in back.state.members if each.node == absence.node]
    assert (member.status, member.availability) == ("ready", "active")
    assert member.labels == absence.labels
    assert set(topology.droplets) == {each.node for each in back.state.members}


def test_an_old_token_lets_nobody_in(absence: Absence, note: Note) -> None:
    """Once tokens were rotated, a droplet that was removed is refused with the old one."""
    note(f"with the old token {absence.node} was refused: {absence.refusal}")
    assert absence.new != absence.old
    assert absence.refusal, "the old token still lets droplets in"
    assert NO_TOKEN in absence.refusal, "it was refused for another reason"


def test_tokens_are_nowhere(absence: Absence, session: Session) -> None:
    """Neither new nor old ones are in any file of the run: no log, no report, no history."""
    files = [
        file for file in session.choice.run_dir.path.rglob("*") if file.is_file() and not file.is_symlink()
    ]
    assert files
    assert [file.name for file in files if TOKEN.search(file.read_bytes())] == []


def test_updates_cost_nothing(load: Workload, session: Session, swarm: Swarm, note: Note) -> None:
    """Every service that others refer to is replaced under load, task by task: nothing fails meanwhile.

    Those that do not refer to each other are replaced at the same time.
    """
    since = load.await_more(SOME)
    direct: list[Request] = []
    replaced = []
    for services in independent(swarm):
        begun = time.time()
        with asked(session, services) as requests:
            tasks = replace(session, *services)
            load.await_more(SOME)
        direct += requests.made() if requests else ()
        counts = " and ".join(f"{name}: {count} tasks" for name, count in tasks.items())
        replaced.append(f"{counts} replaced in {time.time() - begun:.0f} s")
    ends = {service: ended(session, service) for service in referred_to(swarm)}
    note("; ".join([*replaced, load.describe(since), f"{len(direct)} requests straight to the balancer"]))
    assert {service: end.update for service, end in ends.items()} == dict.fromkeys(ends, COMPLETED)
    require_none([*load.failed(since), *failed_requests(direct)])


@pytest.mark.needs("worker_services")
def test_workers_are_scaled(
    load: Workload, session: Session, topology: Topology, single: httpx.Client, door: FrontDoor, note: Note
) -> None:
    """Up to five tasks, which all register and run programs, and down again, and nothing fails meanwhile."""
    services = swarm_workers.services_of(topology)
    service = services[0]
    replicas = len(inspect(session).running(service))
    since = load.await_more(SOME)
    with to_judge0(session) as client:
        count = WorkerCount(Judge0(client).get, session.access, named_nodes(topology))
        each = swarm_workers.count_workers(count) // replicas
        begun = time.time()
        try:
            scaled(session, service, MORE)
            swarm_workers.wait_for_workers(count, MORE * each)
            rose = time.time() - begun
            up = inspect(session).running(service)
            workers = {task.container: task.node for task in up}
            counts = swarm_workers.spread(session.access, single, door, workers, MORE * each)
        finally:
            begun = time.time()
            scaled(session, service, replicas)
        swarm_workers.wait_for_workers(count, replicas * each)
        fell = time.time() - begun
    load.await_more(SOME)
    most = ", ".join(str(counts[each]) for each in workers)
    note(
        f"{MORE} tasks on {spread_of(up)} after {rose:.0f} s, which ran {most} programs; {replicas} after "
        f"{fell:.0f} s; {load.describe(since)}"
    )
    assert len(up) == MORE
    assert len(inspect(session).running(service)) == replicas
    require_none(load.failed(since))


def test_nothing_accepted_is_lost(load: Workload, session: Session, note: Note) -> None:
    """Every submission accepted while the swarm was changed ended exactly once, and its status stays."""
    found = load.judged(lambda: to_judge0(session))
    note(f"{found}; {load.file}")
    final_status.require_none_lost(found, load.file)


@dataclass(frozen=True)
class Absence:
    """A member that was removed from the swarm and joined again.

    ``members`` are the droplets that were members meanwhile; ``labels`` are its own from before; ``old`` and
    ``new`` are join tokens; ``refusal`` is the answer to the old one; ``changed`` how it came back.
    """

    node: str
    labels: Mapping[str, str]
    members: frozenset[str]
    old: str = field(repr=False)
    new: str = field(repr=False)
    refusal: str
    changed: tuple[str, ...]


@pytest.fixture(scope="module")
def absence(
    swarm: Swarm, session: Session, topology: Topology, deployment: Deployment, access: Access
) -> Absence:
    """Remove a member, rotate the tokens, try the old one, and form the swarm anew."""
    before = inspect(session)
    node, manager = spare(before)[-1], before.manager
    (member,) = [each for each in before.state.members if each.node == node]
    old = join.tokens(access, manager)["worker"]
    refusal = ""
    try:
        rotate.remove(access, topology, deployment, node)
        members = frozenset(each.node for each in snapshot.members(access, deployment, manager))
        rotate.rotate_tokens(access, manager)
        try:
            join.join(access, deployment, manager, node, old)
        except ResourceError as error:
            refusal = str(error)
    finally:
        changed = cluster.form(access, topology, deployment, progress=Progress())
        converged(session, before)
    new = join.tokens(access, manager)["worker"]
    return Absence(node, member.labels, members, old, new, refusal, changed)


def require_none(failed: Sequence[str]) -> None:
    """Raise ``CheckFailedError`` with the first failures, if there are any."""
    if failed:
        raise CheckFailedError(f"{len(failed)} failed meanwhile: {'; '.join(failed[:SHOWN])}")


@contextmanager
def drained(session: Session, view: View, node: str) -> Iterator[None]:
    """Have a member take no tasks for as long as the block takes."""
    (member,) = [each for each in view.state.members if each.node == node]
    rotate.drain(session.access, view.manager, member.id)
    try:
        yield
    finally:
        rotate.activate(session.access, view.manager, member.id)


@contextmanager
def restored(session: Session, service: str, image: str) -> Iterator[None]:
    """Give a service its image back after the block, if it has not got it by then."""
    try:
        yield
    finally:
        if image_of(inspect(session), service) != image:
            update(session, service, "--image", image)


def scaled(session: Session, service: str, replicas: int) -> None:
    """Order so many tasks of a service, and wait until so many run."""
    scale(session.access, session.topology, session.deployment, {service: replicas}, progress=Progress())


def converged(session: Session, before: View) -> None:
    """Wait until every service is at its replicas again; what had failed ``before`` does not count."""
    converge.converge(session.access, session.topology, session.deployment, before=before.state)


def image_of(view: View, service: str) -> str:
    """The image that a service's tasks run."""
    return str(view.specs[service]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"])


def availability(view: View, node: str) -> str:
    """Whether a member takes tasks, in Docker's words."""
    (member,) = [each for each in view.state.members if each.node == node]
    return member.availability


def spread_of(tasks: Iterable[Task]) -> str:
    """How many tasks run where: ``2 worker-1, 3 worker-2``."""
    return ", ".join(
        f"{count} {node}" for node, count in sorted(Counter(each.node for each in tasks).items())
    )


def spare(view: View) -> list[str]:
    """The workers all of whose tasks can run elsewhere, those with the most tasks first; skips if none."""
    ready = {each.node for each in view.state.members if each.status == "ready"}
    tasks = {node: [each for each in view.running() if each.node == node] for node in ready}
    movable = {
        node: len(tasks[node])
        for node in sorted(ready - set(view.swarm.managers))
        if all(places(view, task, ready) for task in tasks[node])
    }
    if not movable:
        pytest.skip("no member can be spared: each has a task that may run nowhere else")
    return sorted(movable, key=lambda node: movable[node], reverse=True)


def places(view: View, task: Task, ready: set[str]) -> set[str]:
    """Where a task could run instead: what publishes a port runs once on a node."""
    service = owners(view.swarm)[task.service]
    taken = {each.node for each in view.running(task.service)} if service.ports else {task.node}
    return (ready & set(service.nodes)) - taken


@contextmanager
def asked(session: Session, services: Collection[str]) -> Iterator[Requests | None]:
    """Many requests straight to Judge0's balancer, where one of ``services`` is behind it.

    It must not move meanwhile. Each takes a connection of its own: a standing one may be closed just as it is
    used again, which is no fault of the balancer's.
    """
    swarm, endpoint = session.topology.swarm, session.topology.checks.judge0
    assert swarm is not None
    if endpoint is None or not set(services) & set(refers_to(swarm, endpoint.service)):
        yield None
        return
    with to_judge0(session) as client:
        client.headers["connection"] = "close"
        with requesting(Requests(client, request_counts.PATH)) as requests:
            yield requests

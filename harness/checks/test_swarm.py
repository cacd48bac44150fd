"""The swarm is as the topology says: members, services, where tasks run, and how they find each other.

Nothing here changes anything; what is changed on purpose, and comes right again, is in test_swarm_updates.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from functools import partial

import httpx
import pytest

from harness.access.ssh import Access
from harness.core.errors import CheckFailedError, InconclusiveError
from harness.core.parallel import in_parallel
from harness.judge0.client import Judge0
from harness.judge0.route import to_judge0
from harness.judge0.workers import WorkerCount, named_nodes
from harness.run.session import Session
from harness.swarm.placing import normalised, satisfies
from harness.topology.deployment import Deployment
from harness.topology.model import FrontDoor, StackService, Swarm, Topology
from harness.verify.balancer import request_counts
from harness.verify.balancer.balance import Balance, slack, wrong
from harness.verify.balancer.upstreams import in_swarm
from harness.verify.disturbing import Note
from harness.verify.fixtures import Remark
from harness.verify.swarm import discovery
from harness.verify.swarm import workers as swarm_workers
from harness.verify.swarm.view import View

REQUESTS = 400
LABEL = "wavetank.image"
IMAGES = "docker image inspect --format '{{{{.Id}}}}' {image}"
RUNS = "docker inspect --format '{{{{.Image}}}}' {container}"
CONFIGS = "docker config ls -q | xargs -r docker config inspect --format '{{json .Spec.Data}}'"


def test_member_is_ready(node: str, view: View, swarm: Swarm, topology: Topology) -> None:
    """Each droplet is one member: ready and active, in its role, with the labels that services go by."""
    found = [each for each in view.state.members if each.node == node and each.status != "down"]
    assert len(found) == 1, f"{node} is {len(found)} members that are not down"
    (member,) = found
    assert (member.status, member.availability) == ("ready", "active")
    assert member.role == ("manager" if node in swarm.managers else "worker")
    placed = {each.name: "true" for each in swarm.services if node in each.nodes}
    known = {"role", *(each.name for each in swarm.services)}
    labels = {name: value for name, value in member.labels.items() if name in known}
    assert labels == {"role": topology.droplets[node].role, **placed}


@pytest.mark.existing("login")
def test_managers_are_those_of_the_topology(view: View, swarm: Swarm, note: Note, remark: Remark) -> None:
    """They and no others, all of them reachable, one of them leads; and how many of them may be lost."""
    managers = {each.node: each for each in view.state.members if each.role == "manager"}
    assert set(managers) == set(swarm.managers)
    assert {name: each.reachability for name, each in managers.items()} == dict.fromkeys(
        managers, "reachable"
    )
    assert [each.leader for each in managers.values()].count(True) == 1
    summary = survival(len(managers))
    note(summary)
    if len(managers) < 3:
        remark(summary)


@pytest.mark.existing("login")
def test_service_is_at_its_replicas(stacked: str, view: View, note: Note) -> None:
    """As many tasks run as are ordered, on ready members, and no update is in progress or stuck."""
    found = {each.name: each for each in view.state.services}
    assert stacked in found, f"the stack has no such service; there are {', '.join(found)}"
    state, running = found[stacked], view.running(stacked)
    note(f"{len(running)} of {state.desired} on {', '.join(sorted(each.node for each in running))}")
    assert len(running) == state.desired > 0
    assert state.update in ("", "completed", "rollback_completed"), f"{state.update}: {state.message}"


def test_tasks_run_where_they_may(stacked: str, owner: StackService, view: View, note: Note) -> None:
    """On the service's nodes, which satisfy every constraint that it has, the topology's among them."""
    placement = view.specs[stacked]["Spec"]["TaskTemplate"].get("Placement") or {}
    constraints = {normalised(each) for each in placement.get("Constraints") or ()}
    note("; ".join(sorted(constraints)))
    wanted = {normalised(each) for each in (f"node.labels.{owner.name}==true", *owner.constraints)}
    assert wanted <= constraints, "constraints of the topology that the service has not"
    astray = {each.node for each in view.running(stacked)} - set(owner.nodes)
    assert astray == set(), (
        f"tasks run where the topology does not let them; it names {', '.join(owner.nodes)}"
    )
    broken = [
        f"{task.node} does not satisfy {each}"
        for task in view.running(stacked)
        for each in constraints
        if not satisfies(each, view.facts[task.node])
    ]
    assert broken == []


def test_image_is_pinned(stacked: str, owner: StackService, view: View, access: Access, note: Note) -> None:
    """By its id, with its name as a label: the same on each node of the service, and what each task runs."""
    spec = view.specs[stacked]["Spec"]
    image = spec["TaskTemplate"]["ContainerSpec"]["Image"]
    note(f"{(spec.get('Labels') or {}).get(LABEL, 'no name')} is {image}")
    assert image.startswith("sha256:"), f"{image} is a name, which may be another image on each node"
    asked = [partial(access.run, node, IMAGES.format(image=image)) for node in owner.nodes]
    found = {node: summary.strip() for node, summary in zip(owner.nodes, in_parallel(asked), strict=True)}
    assert found == dict.fromkeys(owner.nodes, image)
    runs = {
        (task.node, task.slot): access.run(task.node, RUNS.format(container=task.container)).strip()
        for task in view.running(stacked)
    }
    assert runs == dict.fromkeys(runs, image)


def test_services_reach_each_other(
    stacked: str, view: View, swarm: Swarm, access: Access, note: Note
) -> None:
    """From each task, each other service's name resolves to where that runs, only there, and ports answer."""
    ports = {name: each for name, each in discovery.listening(swarm).items() if name != stacked}
    expected = {name: view.found_at(name) for name in ports}
    tasks = view.running(stacked)
    if not tasks:
        raise InconclusiveError(f"no task of {stacked} runs, so it cannot be tested")
    found = in_parallel([partial(discovery.find, access, task.node, task.container, ports) for task in tasks])
    problems = [
        f"{task.node}: {each}"
        for task, seen in zip(tasks, found, strict=True)
        for each in discovery.wrong(seen, expected)
    ]
    if problems:
        raise CheckFailedError("; ".join(problems))
    note("; ".join(f"{name} {' '.join(expected[name])} {ends(ports[name])}" for name in ports))


@pytest.mark.needs("judge0_service")
def test_servers_share_the_load(
    session: Session, view: View, topology: Topology, access: Access, note: Note
) -> None:
    """Each task behind the load balancer answers its share of requests, within a statistical bound."""
    endpoint = topology.checks.judge0
    assert endpoint is not None
    found = in_swarm(view, endpoint.service)
    if len(found.servers) < 2:
        pytest.skip(f"fewer than two tasks are behind {endpoint.service}")
    balance = Balance("tasks", dict.fromkeys(found.servers, 1), method="random")
    with to_judge0(session) as client:
        counts, source = request_counts.count(client, access, found, REQUESTS)
    summary = ", ".join(f"{address} on {node}: {counts[address]}" for address, node in found.servers.items())
    note(f"{summary}; by {source}; each may differ from its share by {slack(balance, counts.total()):.0f}")
    assert wrong(balance, counts) == "", source


@pytest.mark.needs("worker_services")
def test_every_worker_runs_programs(
    view: View,
    topology: Topology,
    access: Access,
    single: httpx.Client,
    door: FrontDoor,
    judge0: Judge0,
    note: Note,
) -> None:
    """Enough programs at once that each task must take some: all do, and every program is Accepted.

    A worker without what its sandbox needs, like one that relies on ``privileged: true``, cannot pass.
    """
    services = swarm_workers.services_of(topology)
    workers = {each.container: each.node for each in view.running(*services)}
    number = swarm_workers.count_workers(WorkerCount(judge0.get, access, named_nodes(topology)))
    seen = swarm_workers.spread(access, single, door, workers, number)
    summary = ", ".join(f"{node} ({container[:12]}) {seen[container]}" for container, node in workers.items())
    note(f"{number} programs at once, seen in {summary}")


@pytest.mark.existing("login")
def test_passwords_are_secrets(view: View, access: Access, passwords: tuple[str, ...]) -> None:
    """No service's definition holds a password of a database, and no config does: any manager shows both."""
    configs = [base64.b64decode(each) for each in access.run(view.manager, CONFIGS).split()]
    shown = {name: json.dumps(spec) for name, spec in view.specs.items()}
    shown |= {f"config {number}": each.decode(errors="replace") for number, each in enumerate(configs)}
    # The values are not shown: this goes into a report.
    assert [name for name, text in shown.items() if any(each in text for each in passwords)] == []


@pytest.mark.existing("login")
def test_no_service_is_told_of_public_addresses(view: View, deployment: Deployment) -> None:
    """Services' configurations name databases by their private hosts, and no droplet's public address."""
    public = {each.public.host for each in deployment.databases.values()}
    public |= {each.public_ip for each in deployment.nodes.values() if each.public_ip}
    private = [each.private.host for each in deployment.databases.values()]
    summary = []
    for name, spec in view.specs.items():
        text = json.dumps(spec)
        for host in private:
            text = text.replace(host, "")
        summary += [f"{name} refers to {each}" for each in public if each in text]
    assert summary == []


def ends(ports: Sequence[int]) -> str:
    """Ports for a note."""
    return f"({', '.join(map(str, ports)) or 'no port'})"


def survival(managers: int) -> str:
    """How many managers can be lost, for a note."""
    spare = (managers - 1) // 2
    if spare:
        return f"{managers} managers: the swarm goes on without any {'one' if spare == 1 else spare} of them"
    loss = "1 manager: without it" if managers == 1 else f"{managers} managers: without one of them"
    return f"{loss}, what runs goes on, but nothing is rescheduled and nothing can be changed"

"""Which tasks are behind a balancer, and who is spoken to, in the plan's own swarm."""

from __future__ import annotations

from typing import Any

from harness.run.settings import PROJECT
from harness.swarm.converge import State
from harness.swarm.snapshot import Member, ServiceState, Task
from harness.topology import load
from harness.topology.model import Swarm
from harness.verify.balancer.upstreams import Upstreams, in_swarm, upstream_droplets
from harness.verify.swarm.discovery import independent, listening, owners, referred_to, refers_to
from harness.verify.swarm.view import View

TOPOLOGY = load(PROJECT / "topologies/swarm.yaml")
STANDARD = load(PROJECT / "topologies/standard.yaml")
PLACES = {"judge0-lb": ["judge0-lb"], "judge0-server": ["server-1", "server-2"], "runner-api": ["server-2"]}


def swarm() -> Swarm:
    """The plan's."""
    assert TOPOLOGY.swarm is not None
    return TOPOLOGY.swarm


def view(**gone: str) -> View:
    """Tasks at ``PLACES``, each at an address of its own; ``gone`` are members by their status."""
    tasks, addresses, specs = [], {}, {}
    for service, nodes in PLACES.items():
        specs[service] = {"Spec": {"Name": service}}
        for slot, node in enumerate(nodes, 1):
            id_ = f"{service}.{slot}"
            tasks.append(Task(id_, service, slot, node, "running", "running", "", "", "c", ""))
            addresses[id_] = f"10.0.1.{len(addresses) + 2}"
    members = [
        Member(node, node, "worker", gone.get(node.replace("-", "_"), "ready"), "active", False, "", "", {})
        for node in TOPOLOGY.droplets
    ]
    services = [ServiceState(name, name, "", 1, 1, "", "") for name in PLACES]
    state: Any = State(tuple(members), tuple(services), tuple(tasks))
    return View(swarm(), "runner", state, specs, {}, addresses, {})


def test_tasks_that_the_balancer_is_told_of_are_behind_it() -> None:
    """By their addresses and the port they listen on; the log is where the balancer's task is."""
    expected = {"10.0.1.3:2358": "server-1", "10.0.1.4:2358": "server-2"}
    assert in_swarm(view(), "judge0-lb") == Upstreams(("judge0-lb",), expected, ("10.0.1.2",))


def test_a_task_on_a_lost_member_is_not() -> None:
    """The swarm goes on to list it as running."""
    assert in_swarm(view(server_1="down"), "judge0-lb").servers == {"10.0.1.4:2358": "server-2"}


def test_the_plans_services_are_told_of_each_other() -> None:
    """The chain from the client to the servers, by environments and by the balancer's own file."""
    assert refers_to(swarm(), "client") == ("runner-api",)
    assert refers_to(swarm(), "runner-api") == ("judge0-lb",)
    assert refers_to(swarm(), "judge0-lb") == ("judge0-server",)
    assert referred_to(swarm()) == ["runner-api", "judge0-lb", "judge0-server"]


def test_services_that_do_not_refer_to_each_other_are_told_together() -> None:
    """The balancer is named by the one before it, and names those behind it."""
    assert independent(swarm()) == [["judge0-lb"], ["runner-api", "judge0-server"]]


def test_the_plans_services_listen() -> None:
    """Though the runner's compose file calls it otherwise; workers take nothing."""
    assert listening(swarm()) == {
        "client": (80, 443),
        "runner-api": (4000,),
        "judge0-lb": (2358,),
        "judge0-server": (2358,),
        "judge0-worker": (),
    }
    assert owners(swarm())["judge0-server"].replicas == 2


def test_upstreams_are_what_the_balancer_may_talk_to() -> None:
    """From the intent, not from names."""
    assert upstream_droplets(STANDARD) == ("server-1", "server-2")

"""What a swarm's topology promises for a fault: whether the service answers meanwhile, and what restores it.

Pure: it follows from the topology, and from where tasks run when the fault comes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from harness.faults.fault import PARTITION, Fault, carried, gone, leaders
from harness.swarm.converge import State
from harness.topology.model import Topology
from harness.topology.validation.placement import eligible


@dataclass(frozen=True)
class Expectation:
    """What should be observed while the fault lasts.

    ``answers``: the front door accepts programs, if only after a while. ``controlled``: a majority of the
    managers is left, so that lost tasks run elsewhere. ``visible``: nodes can be reached by ssh.
    ``capacity``: how many tasks of each service the remaining nodes can run. ``description``: for the report.
    """

    answers: bool
    controlled: bool
    visible: bool
    capacity: Mapping[str, int]
    description: str


def expect(topology: Topology, fault: Fault, state: State) -> Expectation:
    """What is promised for ``fault`` in a swarm that is in this ``state`` when it comes."""
    controlled = has_quorum(topology, fault.nodes)
    capacity = capacities(topology, state, fault.nodes)
    lost = gone(state, fault.nodes)
    missing = [name for name in capacity if (capacity[name] == 0 if controlled else name in lost)]
    missing += _plain_missing(topology, fault.nodes)
    open_ = entry_points(topology, fault.nodes) != ()
    return Expectation(
        answers=open_ and not missing,
        controlled=controlled,
        visible=topology.management.bastion not in fault.nodes,
        capacity=capacity,
        description=" ".join(
            _describe(topology, fault, state, capacity, controlled=controlled, missing=missing)
        ),
    )


def has_quorum(topology: Topology, lost: Collection[str]) -> bool:
    """Whether a majority of the managers is left without ``lost``."""
    managers = topology.swarm.managers if topology.swarm else ()
    left = [each for each in managers if each not in lost]
    return 2 * len(left) > len(managers)


def capacities(topology: Topology, state: State, lost: Collection[str]) -> Mapping[str, int]:
    """How many of each service's tasks can run without the nodes in ``lost``.

    A service that publishes ports can have one on each node; one that the topology does not name is left out.
    """
    specs = {each.name: each for each in topology.swarm.services} if topology.swarm else {}
    found = {}
    for service in state.services:
        spec = specs.get(service.name)
        if spec is None:
            continue
        left = sum(node not in lost for node in eligible(topology, spec))
        found[service.name] = min(service.desired, left) if spec.ports or not left else service.desired
    return found


def entry_points(topology: Topology, lost: Collection[str]) -> tuple[str, ...]:
    """The nodes at whose public address the front door's service may answer, without those in ``lost``.

    The topology's own front door comes first; in a swarm, any node that may run a task with its port follows.
    """
    door = topology.checks.front_door
    if door is None:
        return ()
    found = [door.node]
    for each in topology.swarm.services if topology.swarm else ():
        if each.ports and door.node in each.nodes:
            found += eligible(topology, each)
    return tuple(node for node in dict.fromkeys(found) if node not in lost)


def _plain_missing(topology: Topology, lost: Collection[str]) -> list[str]:
    """The plain compose projects of which no node is left."""
    return [each.name for each in topology.services if set(each.nodes) <= set(lost)]


def _describe(
    topology: Topology,
    fault: Fault,
    state: State,
    capacity: Mapping[str, int],
    *,
    controlled: bool,
    missing: Sequence[str],
) -> list[str]:
    managers = topology.swarm.managers if topology.swarm else ()
    down = [each for each in managers if each in fault.nodes]
    had = carried(state, fault.nodes)
    sentences = [f"{listed(had)} had tasks there." if had else "No task of the stack ran there."]
    if not controlled:
        sentences += _without_control(managers, down)
    else:
        if set(leaders(state)) & set(down):
            sentences.append("Another manager leads.")
        sentences += _moves(state, had, capacity)
    sentences += _plain_left(topology, fault.nodes)
    if missing:
        sentences.append(f"Without {listed(missing)} nothing is accepted until {_are(fault.nodes)} back.")
    if fault.kind == PARTITION:
        sentences.append("What ran there goes on there, too, and is stopped once it is back.")
    return sentences


def _moves(state: State, had: Sequence[str], capacity: Mapping[str, int]) -> list[str]:
    """What becomes of lost tasks where managers reschedule them."""
    wanted = {each.name: each.desired for each in state.services}
    waiting = [name for name in had if capacity.get(name, wanted[name]) < wanted[name]]
    moving = [name for name in had if name not in waiting]
    sentences = ["They run on other nodes again, by themselves."] if moving and not waiting else []
    if moving and waiting:
        sentences.append(f"Those of {listed(moving)} run on other nodes again, by themselves.")
    return sentences + ([f"There is no other place for {listed(waiting)}."] if waiting else [])


def _plain_left(topology: Topology, lost: Collection[str]) -> list[str]:
    """Sentences on the plain compose projects that lose a node and have another."""
    return [
        f"{each.name}, a compose project, goes on on {listed(left)}."
        for each in topology.services
        if set(each.nodes) & set(lost) and (left := [node for node in each.nodes if node not in lost])
    ]


def _without_control(managers: Sequence[str], down: Sequence[str]) -> list[str]:
    if len(managers) == 1:
        return [
            f"What runs on other nodes goes on; nothing is rescheduled, scaled or updated until {down[0]} "
            "is back. That is what the plan buys with one manager: three survive the loss of one."
        ]
    left, needed = len(managers) - len(down), len(managers) // 2 + 1
    return [
        f"{left} of {len(managers)} managers are left, and it takes {needed} to decide: what runs on other "
        f"nodes goes on, nothing is rescheduled, scaled or updated until {_are(down)} back."
    ]


def _are(nodes: Sequence[str]) -> str:
    return f"{listed(nodes)} {'is' if len(nodes) == 1 else 'are'}"


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)

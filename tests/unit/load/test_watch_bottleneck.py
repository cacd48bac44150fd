"""Each rule, by series that were made up for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.result import NodeSeries, QueueSeries
from harness.load.watch.bottleneck import Facts, bottleneck
from harness.load.watch.kinds import Kinds, kinds
from harness.topology.load import load

SECONDS = 20
TOPOLOGIES = Path(__file__).parents[3] / "topologies"
KINDS = Kinds(
    {"lb": "balancer", "server-1": "server", "worker-1": "worker", "worker-2": "worker"},
    {"judge0-worker": "worker", "judge0-server": "server"},
)


def node(name: str, used: float, *, cores: float = 2.0, role: str = "", **more: Any) -> NodeSeries:
    """A node that uses as much all the time."""
    t = tuple(map(float, range(SECONDS)))
    return NodeSeries(name, role, cores, t, (used,) * SECONDS, (100.0,) * SECONDS, **more)


def queue(waiting: int, working: int, workers: int) -> QueueSeries:
    """A queue that stands still."""
    t = tuple(map(float, range(SECONDS)))
    return QueueSeries(t, (waiting,) * SECONDS, (working,) * SECONDS, (workers,) * SECONDS)


QUIET = Facts(
    window=(2.0, 18.0),
    offered=10.0,
    achieved=10.0,
    arrivals=160,
    nodes=(node("lb", 0.1), node("server-1", 0.3), node("worker-1", 0.6), node("worker-2", 0.5)),
    queue=queue(0, 1, 4),
    machine=node("machine", 1.0, role="machine"),
    shared=True,
    kinds=KINDS,
    generator_cores=0.05,
    late_p99_ms=0.1,
)
BEHIND = replace(QUIET, achieved=6.0)


def with_node(facts: Facts, changed: NodeSeries) -> Facts:
    """With one node changed, or added."""
    return replace(facts, nodes=(*(each for each in facts.nodes if each.node != changed.node), changed))


def what(facts: Facts) -> str:
    told = bottleneck(facts)
    json.dumps(told, allow_nan=False)
    assert told["why"]
    return str(told["what"])


def test_nothing_is_where_all_was_served_and_nothing_was_busy() -> None:
    """The deployment takes more than that."""
    assert what(QUIET) == "none"


@pytest.mark.parametrize(
    ("busy", "called"),
    [
        (node("worker-1", 1.85), "worker cpu"),
        (node("server-1", 1.85), "server cpu"),
        (node("lb", 1.85), "balancer"),
        (node("postgres", 1.85, role="database"), "database postgres"),
        (node("runner", 1.85), "runner cpu"),
    ],
)
def test_a_node_whose_cores_are_used_up_is_called_by_what_it_is(busy: NodeSeries, called: str) -> None:
    """At 92 % of its cores, whatever the queue says."""
    facts = with_node(replace(BEHIND, shared=False, queue=queue(9, 4, 4)), busy)
    assert what(facts) == called
    assert "92 %" in bottleneck(facts)["why"]


def test_in_a_swarm_a_node_is_what_mostly_runs_there() -> None:
    """Tasks move; the node's name says nothing."""
    parts = {"judge0-server": (1.4,) * SECONDS, "runner-api": (0.4,) * SECONDS}
    assert what(with_node(BEHIND, node("lb", 1.9, parts=parts))) == "server cpu"


def test_the_busiest_node_is_named_and_the_others_with_it() -> None:
    """Both are at their limit."""
    facts = with_node(with_node(BEHIND, node("worker-1", 1.85)), node("server-1", 1.95))
    assert what(facts) == "server cpu"
    assert bottleneck(facts)["why"].endswith("too: worker-1")


def test_cores_that_a_hypervisor_keeps_are_used_up() -> None:
    """On a shared droplet; and it is said."""
    facts = with_node(BEHIND, node("worker-1", 1.2, steal=(0.7,) * SECONDS))
    assert what(facts) == "worker cpu"
    assert "35 % of it taken by the hypervisor" in bottleneck(facts)["why"]


def test_where_nodes_share_a_machine_its_cores_come_first_with_who_used_them() -> None:
    """No node's own share is a limit there."""
    facts = with_node(BEHIND, node("worker-1", 1.85))
    facts = replace(facts, machine=node("machine", 2.0), queue=queue(9, 4, 4), late_p99_ms=50.0)
    assert what(facts) == "machine cpu"
    split = bottleneck(facts)["evidence"]["machine"]["split"]
    assert split["worker-1"] == 1.85
    assert sum(split.values()) == pytest.approx(max(2.0, 1.85 + 0.1 + 0.3 + 0.5 + 0.05))
    assert "worker-1 1.85" in bottleneck(facts)["why"]


def test_where_they_do_not_a_full_machine_is_the_generators() -> None:
    """On the cloud only the generator runs here."""
    facts = replace(BEHIND, shared=False, machine=node("machine", 1.95))
    assert what(facts) == "generator"


@pytest.mark.parametrize(
    "changed", [{"generator_cores": 0.95}, {"late_p99_ms": 12.0}, {"starved": 30}, {"loop": "closed"}]
)
def test_the_generator_can_be_what_limits(changed: dict[str, Any]) -> None:
    """Its thread, its lateness, its connections, or the number of clients of a closed loop."""
    assert what(replace(QUIET, **changed)) == "generator"


def test_slots_are_where_all_workers_are_busy_and_no_core_is() -> None:
    """Programs that sleep: more workers would help."""
    facts = replace(BEHIND, queue=queue(7, 4, 4))
    assert what(facts) == "worker slots"
    assert "more workers would help" in bottleneck(facts)["why"]


def test_slots_without_readings_of_the_nodes_say_so() -> None:
    """Then nobody knows of the CPU."""
    facts = replace(BEHIND, queue=queue(7, 4, 4), nodes=())
    assert what(facts) == "worker slots"
    assert "not observed" in bottleneck(facts)["why"]


def test_idle_workers_beside_a_queue_are_the_queues_fault() -> None:
    """And only where not all was served."""
    assert what(replace(BEHIND, queue=queue(3, 1, 4))) == "queue"
    assert what(replace(QUIET, queue=queue(3, 1, 4))) == "none"


def test_a_closed_loop_always_serves_all_so_that_excuses_no_queue() -> None:
    """It offers no more than is achieved."""
    assert what(replace(QUIET, queue=queue(3, 1, 4), loop="closed")) == "queue"


def test_just_below_nine_tenths_of_its_cores_a_node_has_some_left() -> None:
    """The limit is where the documents say."""
    assert what(with_node(BEHIND, node("worker-1", 1.79))) == "unknown"
    assert what(with_node(BEHIND, node("worker-1", 1.8))) == "worker cpu"


def test_a_queue_that_was_full_before_anything_was_is_named() -> None:
    """With its limit; where a resource was used up, that is named instead."""
    facts = replace(
        BEHIND, errors={"refused": 20}, messages={"refused": ("503: queue is full",)}, queue_limit=100
    )
    assert what(facts) == "queue"
    assert "its limit is 100" in bottleneck(facts)["why"]
    assert what(replace(facts, queue=queue(100, 4, 4))) == "worker slots"
    assert what(with_node(facts, node("worker-1", 1.9))) == "worker cpu"


def test_a_gateways_errors_are_the_balancers() -> None:
    """Where more than a few arrivals met them."""
    messages = {"failed": ("502: <html><h1>502 Bad Gateway</h1>",)}
    assert what(replace(BEHIND, errors={"failed": 20}, messages=messages)) == "balancer"
    assert what(replace(QUIET, errors={"failed": 1}, messages=messages)) == "none"


def test_what_is_not_seen_is_not_guessed() -> None:
    """Nothing was at its limit, and not all was served: unknown, with what was not watched."""
    facts = replace(BEHIND, gaps=("mongo, postgres: not watched",))
    assert what(facts) == "unknown"
    assert "postgres" in bottleneck(facts)["why"]
    assert what(replace(QUIET, nodes=(), queue=None)) == "unknown"


def test_only_the_steady_part_counts() -> None:
    """A node that was busy while the run warmed up was not the bottleneck."""
    early = replace(node("worker-1", 0.6), cpu=(2.0,) * 2 + (0.6,) * (SECONDS - 2))
    assert what(with_node(QUIET, early)) == "none"
    assert what(with_node(replace(QUIET, window=(0.0, 2.0)), early)) == "worker cpu"


@given(st.lists(st.floats(0, 2), min_size=SECONDS, max_size=SECONDS), st.sampled_from([QUIET, BEHIND]))
def test_a_node_is_at_its_limit_just_where_its_median_second_is(cpu: list[float], facts: Facts) -> None:
    """Seconds in which it was not do not hide it, and seconds in which it was do not make it so."""
    changed = replace(node("worker-1", 0), cpu=tuple(cpu))
    window = sorted(cpu[2:19])
    assert (what(with_node(facts, changed)) == "worker cpu") == (window[len(window) // 2] >= 1.8)


def test_the_standard_plan_says_who_is_what() -> None:
    """By the intent behind the balancer, and by the nodes that services run on."""
    known = kinds(load(TOPOLOGIES / "standard.yaml"))
    assert known.nodes == {
        "judge0-lb": "balancer",
        "server-1": "server",
        "server-2": "server",
        "worker-1": "worker",
        "worker-2": "worker",
    }
    assert known.services == {"judge0-lb": "balancer", "judge0-server": "server", "judge0-worker": "worker"}


def test_the_swarm_says_who_is_what_by_its_services() -> None:
    """Nodes that only workers run on are workers; those that take several kinds are none."""
    known = kinds(load(TOPOLOGIES / "swarm.yaml"))
    assert known.services == {"judge0-lb": "balancer", "judge0-server": "server", "judge0-worker": "worker"}
    assert known.nodes == {"worker-1": "worker", "worker-2": "worker"}

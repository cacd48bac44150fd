"""What is known of one run, and the values that the rules use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.load.result import NodeSeries, QueueSeries
from harness.load.watch.kinds import Kinds
from harness.load.watch.uses import QueueUse, Use, queue_use, uses

SERVED = 0.98  # of what was offered: all of it, but for the edges of the window
FEW = 0.01  # of the arrivals: none to speak of


@dataclass(frozen=True)
class Facts:
    """One run. ``window`` is its steady part, in seconds since it began: only what falls into it counts.

    ``offered`` and ``achieved`` are rates, ``errors`` counts by outcome and ``messages`` their texts, as in
    ``Run``. ``nodes``, ``queue``, ``machine``, ``shared`` and ``gaps`` are as ``Observed`` has them.
    ``generator_cores`` is the CPU that the generator's process used, a second; ``late_p99_ms`` its lateness,
    ``starved`` how many arrivals found all connections in use. ``queue_limit`` is Judge0's MAX_QUEUE_SIZE.
    """

    window: tuple[float, float]
    offered: float
    achieved: float
    arrivals: int
    errors: Mapping[str, int] = field(default_factory=dict)
    messages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    nodes: tuple[NodeSeries, ...] = ()
    queue: QueueSeries | None = None
    machine: NodeSeries | None = None
    shared: bool = False
    gaps: tuple[str, ...] = ()
    kinds: Kinds = field(default_factory=Kinds)
    generator_cores: float = 0.0
    late_p99_ms: float = 0.0
    starved: int = 0
    loop: Literal["open", "closed"] = "open"
    queue_limit: int | None = None


def node_uses(facts: Facts) -> list[Use]:
    """What each node and database used in the window, if there were enough readings."""
    return uses(facts.nodes, facts.window)


def machine_use(facts: Facts) -> Use | None:
    """What this machine's cores did in the window, or None."""
    return next(iter(uses([facts.machine], facts.window)), None) if facts.machine else None


def queue(facts: Facts) -> QueueUse | None:
    """How the queue stood in the window, or None."""
    return queue_use(facts.queue, facts.window) if facts.queue else None


def kind(facts: Facts, use: Use) -> str:
    """A node's role for Judge0: by what mostly ran there, else by its name; empty: none."""
    return facts.kinds.services.get(use.mainly) or facts.kinds.nodes.get(use.node) or ""


def count(facts: Facts, outcome: str) -> int:
    """How many arrivals ended so; ``outcome`` in lower case."""
    return sum(number for name, number in facts.errors.items() if name.lower() == outcome)


def words(facts: Facts, *outcomes: str) -> list[str]:
    """The error texts of these outcomes."""
    return [text for name, texts in facts.messages.items() if name.lower() in outcomes for text in texts]


def anything_observed(facts: Facts) -> bool:
    """Whether there is anything to judge by."""
    return bool(node_uses(facts) or queue(facts))


def all_was_served(facts: Facts) -> bool:
    """Whether what was offered was achieved, without errors to speak of; the last arrival may end later."""
    errors, length = sum(facts.errors.values()), facts.window[1] - facts.window[0]
    served = facts.achieved * length >= SERVED * facts.offered * length - 1
    return facts.arrivals > 0 and errors <= FEW * facts.arrivals and served


def split(facts: Facts) -> dict[str, float]:
    """The use of this machine, in cores on average: each node, the generator, and the rest."""
    machine = machine_use(facts)
    if machine is None:
        return {}
    used = {use.node: use.mean for use in node_uses(facts)} | {"generator": facts.generator_cores}
    rest = max(0.0, machine.mean - sum(used.values()))
    return {name: round(cores, 3) for name, cores in {**used, "the rest of this machine": rest}.items()}


def evidence(facts: Facts) -> dict[str, Any]:
    """The values that the rules used, as plain JSON."""
    machine, waiting = machine_use(facts), queue(facts)
    return {
        "window_s": list(facts.window),
        "nodes": {use.node: use.to_dict() for use in node_uses(facts)},
        "machine": machine.to_dict() | ({"split": split(facts)} if facts.shared else {}) if machine else None,
        "queue": waiting.to_dict() if waiting else None,
        "generator": {
            "cores": round(facts.generator_cores, 3),
            "late_p99_ms": facts.late_p99_ms,
            "starved": facts.starved,
        },
        "errors": dict(facts.errors),
        "gaps": list(facts.gaps),
    }

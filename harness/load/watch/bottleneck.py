"""What limited a run: rules over what was seen of it, in a stated order; the first that holds decides.

The utilisation law (U = X S / m: throughput times CPU time of a request, over the number of cores; Denning
and Buzen, 1978) says that a resource near U = 1 caps the throughput of all that passes it. So what is sought
is a resource that was busy nearly all the time, or a limit of the system's own, such as a number of workers,
that was used up while no resource was. docs/bottleneck.md gives the rules to users, with their reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from harness.load.result import NodeSeries, QueueSeries
from harness.load.watch.kinds import Kinds
from harness.load.watch.uses import Use, uses

BUSY = 0.9  # of the cores, in the median second: at the limit
SERVED = 0.98  # of what was offered: it was served
FEW = 0.01  # of the arrivals
LATE_MS = 10.0
QUEUE_FULL = "queue is full"
GATEWAY = ("502", "504", "bad gateway", "gateway time-out")

Told = dict[str, Any]
Rule = Callable[["Facts"], "tuple[str, str] | None"]


@dataclass(frozen=True)
class Facts:
    """One run. ``window`` is its steady part, in seconds since it began: only what falls into it counts.

    ``offered`` and ``achieved`` are rates, ``errors`` counts by outcome and ``said`` their texts, as in
    ``Run``. ``nodes``, ``queue``, ``machine``, ``shared`` and ``gaps`` are as ``Seen`` has them.
    ``generator_cores`` is the CPU that the generator's process used, a second; ``late_p99_ms`` its lateness,
    ``starved`` how many arrivals found all connections in use. ``queue_limit`` is Judge0's MAX_QUEUE_SIZE.
    """

    window: tuple[float, float]
    offered: float
    achieved: float
    arrivals: int
    errors: Mapping[str, int] = field(default_factory=dict)
    said: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
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


def bottleneck(facts: Facts) -> Told:
    """``{"what", "why", "evidence"}``, all plain JSON.

    ``what`` is one of ``worker cpu``, ``worker slots``, ``machine cpu``, ``queue``, ``server cpu``,
    ``balancer``, ``database NAME``, ``generator``, ``none`` (nothing was at its limit, and all was served),
    ``unknown``, or ``NAME cpu`` for a node that is none of these. ``why`` is a sentence or two.
    """
    for rule in RULES:
        found = rule(facts)
        if found is not None:
            what, why = found
            return {"what": what, "why": why, "evidence": _evidence(facts)}
    raise AssertionError("the last rule always holds")


def _generator_is_full(facts: Facts) -> tuple[str, str] | None:
    if facts.generator_cores < BUSY:
        return None
    used = _percent(facts.generator_cores)
    return "generator", f"the generator's one thread used {used} of a core, so it could not send faster"


def _machine_is_full(facts: Facts) -> tuple[str, str] | None:
    use = _machine(facts)
    if use is None or use.busy < BUSY:
        return None
    full = f"this machine's {use.cores:g} cores were {_percent(use.busy)} busy{_stolen(use)}"
    if not facts.shared:
        return "generator", f"{full}, and the generator runs on it"
    greatest = sorted(_split(facts).items(), key=lambda item: -item[1])[:3]
    most = ", ".join(f"{name} {cores:.2f}" for name, cores in greatest)
    return "machine cpu", f"{full}; all nodes share them. Most was used by (in cores): {most}"


def _node_is_full(facts: Facts) -> tuple[str, str] | None:
    full = [use for use in _uses(facts) if use.busy >= BUSY]
    if not full:
        return None
    first = max(full, key=lambda use: use.busy)
    others = [use.node for use in full if use is not first]
    why = f"{first.node} used {_percent(first.busy)} of its {first.cores:g} cores{_stolen(first)}"
    why += f", most of it for {first.mainly}" if first.mainly else ""
    why += (
        f"; {', '.join(others)} {'was' if len(others) == 1 else 'were'} at the limit, too" if others else ""
    )
    return _called(facts, first), why


def _generator_is_late(facts: Facts) -> tuple[str, str] | None:
    if facts.late_p99_ms < LATE_MS:
        return None
    late = f"1 % of the arrivals were sent {facts.late_p99_ms:.1f} ms late or later"
    return "generator", f"{late}, and nothing else was at its limit"


def _balancer_fails(facts: Facts) -> tuple[str, str] | None:
    words = [text for texts in facts.said.values() for text in texts if _is_a_gateways(text)]
    failed = _count(facts, "failed") + _count(facts, "refused")
    if not words or failed <= FEW * facts.arrivals:
        return None
    return "balancer", f"{failed} of {facts.arrivals} arrivals failed, and the balancer said {words[0]!r}"


def _slots_are_used_up(facts: Facts) -> tuple[str, str] | None:
    queue = _queue(facts)
    if queue is None or not queue["workers"] or queue["all_busy"] < 0.5 or queue["waited"] < 0.5:
        return None
    slots, waiting = queue["workers"], queue["waiting"]
    why = f"all {slots:g} workers were busy while {waiting:g} submissions waited"
    workers = [use for use in _uses(facts) if _kind(facts, use) == "worker"]
    if not workers:
        return "worker slots", f"{why}; what CPU they used was not seen"
    most = _percent(max(use.busy for use in workers))
    return (
        "worker slots",
        f"{why}, and no worker node used more than {most} of its cores: more workers would help",
    )


def _queue_is_full(facts: Facts) -> tuple[str, str] | None:
    refused = _count(facts, "refused")
    full = any(QUEUE_FULL in text for texts in facts.said.values() for text in texts)
    if not full or refused <= FEW * facts.arrivals:
        return None
    limit = f" (its limit is {facts.queue_limit})" if facts.queue_limit else ""
    why = f"{refused} of {facts.arrivals} arrivals were refused because the queue was full{limit}"
    return "queue", f"{why}, though nothing behind it was at its limit all the time"


def _queue_is_slow(facts: Facts) -> tuple[str, str] | None:
    queue = _queue(facts)
    if queue is None or queue["waited"] < 0.5 or (facts.loop == "open" and _all_was_served(facts)):
        return None
    why = f"{queue['waiting']:g} submissions waited while {queue['idle']:g} of {queue['workers']:g} workers"
    return "queue", f"{why} were idle: whoever hands them out is slow"


def _connections_are_used_up(facts: Facts) -> tuple[str, str] | None:
    if facts.starved <= FEW * facts.arrivals:
        return None
    return "generator", f"{facts.starved} of {facts.arrivals} arrivals found all connections in use"


def _nothing_is(facts: Facts) -> tuple[str, str] | None:
    if not _all_was_served(facts) or not _seen(facts):
        return None
    if facts.loop == "closed":
        return "generator", "nothing was at its limit: in a closed loop more clients would have brought more"
    return "none", "all that was offered was served, and nothing that was watched was at its limit"


def _not_to_be_told(facts: Facts) -> tuple[str, str]:
    if not _seen(facts):
        return "unknown", "nothing was seen of any node in the steady part of the run"
    short = f"{facts.achieved:.1f} of {facts.offered:.1f} arrivals a second were served"
    errors = sum(facts.errors.values())
    short += f" and {errors} of {facts.arrivals} failed" if errors else ""
    unseen = f"; not seen: {'; '.join(facts.gaps)}" if facts.gaps else ""
    return "unknown", f"{short}, and nothing that was watched was at its limit{unseen}"


RULES: tuple[Rule, ...] = (
    _generator_is_full,
    _machine_is_full,
    _node_is_full,
    _generator_is_late,
    _balancer_fails,
    _slots_are_used_up,
    _queue_is_full,
    _queue_is_slow,
    _connections_are_used_up,
    _nothing_is,
    _not_to_be_told,
)


def _evidence(facts: Facts) -> Told:
    machine = _machine(facts)
    return {
        "window_s": list(facts.window),
        "nodes": {use.node: use.told() for use in _uses(facts)},
        "machine": machine.told() | {"split": _split(facts)} if machine and facts.shared else None,
        "queue": _queue(facts),
        "generator": {
            "cores": round(facts.generator_cores, 3),
            "late_p99_ms": facts.late_p99_ms,
            "starved": facts.starved,
        },
        "errors": dict(facts.errors),
        "gaps": list(facts.gaps),
    }


def _all_was_served(facts: Facts) -> bool:
    errors = sum(facts.errors.values())
    return errors <= FEW * facts.arrivals and facts.achieved >= SERVED * facts.offered


def _count(facts: Facts, outcome: str) -> int:
    return sum(number for name, number in facts.errors.items() if name.lower() == outcome)


def _uses(facts: Facts) -> list[Use]:
    return uses(facts.nodes, facts.window)


def _machine(facts: Facts) -> Use | None:
    return next(iter(uses([facts.machine], facts.window)), None) if facts.machine else None


def _seen(facts: Facts) -> bool:
    return bool(_uses(facts) or _queue(facts))


def _split(facts: Facts) -> dict[str, float]:
    """Who used this machine, in cores on average: each node, the generator, and all the rest."""
    machine = _machine(facts)
    if machine is None:
        return {}
    split = {use.node: round(use.mean, 3) for use in _uses(facts)} | {"generator": facts.generator_cores}
    rest = max(0.0, machine.mean - sum(split.values()))
    return {**split, "the rest of this machine": round(rest, 3)}


def _queue(facts: Facts) -> dict[str, float] | None:
    """Medians over the window, and in which share of it all workers were busy, or submissions waited."""
    queue = facts.queue
    if queue is None:
        return None
    rows = [
        row
        for t, *row in zip(queue.t, queue.waiting, queue.working, queue.workers, strict=True)
        if facts.window[0] <= t <= facts.window[1]
    ]
    if not rows:
        return None
    return {
        "waiting": median(row[0] for row in rows),
        "working": median(row[1] for row in rows),
        "workers": median(row[2] for row in rows),
        "idle": median(max(0, row[2] - row[1]) for row in rows),
        "waited": round(sum(row[0] > 0 for row in rows) / len(rows), 3),
        "all_busy": round(sum(row[1] >= row[2] for row in rows) / len(rows), 3),
    }


def _kind(facts: Facts, use: Use) -> str:
    """By what mostly ran there, else by the node."""
    return facts.kinds.services.get(use.mainly) or facts.kinds.nodes.get(use.node) or ""


def _called(facts: Facts, use: Use) -> str:
    if use.role == "database":
        return f"database {use.node}"
    names = {"worker": "worker cpu", "server": "server cpu", "balancer": "balancer"}
    return names.get(_kind(facts, use), f"{use.node} cpu")


def _is_a_gateways(text: str) -> bool:
    return any(word in text.lower() for word in GATEWAY)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _stolen(use: Use) -> str:
    return f" ({_percent(use.steal)} of it kept by the hypervisor)" if use.steal >= 0.05 else ""

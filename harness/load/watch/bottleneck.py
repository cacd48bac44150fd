"""What limited a run: rules over what was observed, in a fixed order; the first that holds decides.

The utilisation law (U = X S / m: throughput times CPU time of a request, over the number of cores; Denning
and Buzen, 1978) says that a resource near U = 1 caps the throughput of all that passes it. So what is sought
is a resource that was busy nearly all the time, or a limit of the system's own, such as a number of workers,
that was used up while no resource was. docs/bottleneck.md gives the rules to users, with their reasons.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.load.watch.facts import (
    FEW,
    Facts,
    all_was_served,
    anything_observed,
    count,
    evidence,
    kind,
    machine_use,
    node_uses,
    queue,
    split,
    words,
)
from harness.load.watch.uses import Use

__all__ = ["Facts", "bottleneck"]

BUSY = 0.9  # of the cores, in the median second: at the limit
MOSTLY = 0.5  # of the seconds
LATE_MS = 10.0
STOLEN = 0.05  # of the cores: worth a word
QUEUE_FULL = "queue is full"
GATEWAY = ("502", "504", "bad gateway", "gateway time-out")

Told = dict[str, Any]
Finding = tuple[str, str]
Rule = Callable[[Facts], Finding | None]


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
            return {"what": what, "why": why, "evidence": evidence(facts)}
    raise AssertionError("the last rule always holds")


def _generator_is_full(facts: Facts) -> Finding | None:
    if facts.generator_cores < BUSY:
        return None
    used = _percent(facts.generator_cores)
    return "generator", f"the generator's one thread used {used} of a core, so it could not send faster"


def _machine_is_full(facts: Facts) -> Finding | None:
    use = machine_use(facts)
    if use is None or use.busy < BUSY:
        return None
    full = f"this machine's {use.cores:g} cores were {_percent(use.busy)} busy{_stolen(use)}"
    if not facts.shared:
        return "generator", f"{full}, and the generator runs on it"
    greatest = sorted(split(facts).items(), key=lambda item: -item[1])[:3]
    most = ", ".join(f"{name} {cores:.2f}" for name, cores in greatest)
    return "machine cpu", f"{full}; all nodes share them. Most was used by (in cores): {most}"


def _node_is_full(facts: Facts) -> Finding | None:
    full = [use for use in node_uses(facts) if use.busy >= BUSY]
    if not full:
        return None
    first = max(full, key=lambda use: use.busy)
    why = f"{first.node} used {_percent(first.busy)} of its {first.cores:g} cores{_stolen(first)}"
    why += f", most of it for {first.mainly}" if first.mainly else ""
    others = [use.node for use in full if use is not first]
    why += f"; at the limit, too: {', '.join(others)}" if others else ""
    return _called(facts, first), why


def _generator_is_late(facts: Facts) -> Finding | None:
    if facts.late_p99_ms < LATE_MS:
        return None
    late = f"1 % of the arrivals were sent {facts.late_p99_ms:.1f} ms late or later"
    return "generator", f"{late}, and nothing else was at its limit"


def _balancer_fails(facts: Facts) -> Finding | None:
    replies = [text for text in words(facts, "failed", "refused") if _is_a_gateways(text)]
    failed = count(facts, "failed") + count(facts, "refused")
    if not replies or failed <= FEW * facts.arrivals:
        return None
    return "balancer", f"{failed} of {facts.arrivals} arrivals failed, and the balancer said {replies[0]!r}"


def _slots_are_used_up(facts: Facts) -> Finding | None:
    observed = queue(facts)
    if observed is None or not observed.workers or observed.all_busy < MOSTLY or observed.waited < MOSTLY:
        return None
    why = f"all {observed.workers:g} workers were busy while {observed.waiting:g} submissions waited"
    nodes = [use for use in node_uses(facts) if kind(facts, use) == "worker"]
    if not nodes:
        return "worker slots", f"{why}; their CPU use was not observed"
    most = _percent(max(use.busy for use in nodes))
    why = f"{why}, and no worker node used more than {most} of its cores"
    return "worker slots", f"{why}: more workers would help, until a node's cores are used up"


def _queue_is_full(facts: Facts) -> Finding | None:
    refused = count(facts, "refused")
    full = any(QUEUE_FULL in text for text in words(facts, "refused"))
    if not full or refused <= FEW * facts.arrivals:
        return None
    limit = f" (its limit is {facts.queue_limit})" if facts.queue_limit else ""
    why = f"{refused} of {facts.arrivals} arrivals were refused because the queue was full{limit}"
    return "queue", f"{why}, though nothing behind it was at its limit all the time"


def _queue_is_slow(facts: Facts) -> Finding | None:
    observed = queue(facts)
    if observed is None or observed.waited < MOSTLY or (facts.loop == "open" and all_was_served(facts)):
        return None
    idle = f"{observed.idle:g} of {observed.workers:g} workers were idle"
    return "queue", f"{observed.waiting:g} submissions waited while {idle}: the dispatching is slow"


def _connections_are_used_up(facts: Facts) -> Finding | None:
    if facts.starved <= FEW * facts.arrivals:
        return None
    return "generator", f"{facts.starved} of {facts.arrivals} arrivals found all connections in use"


def _nothing_is(facts: Facts) -> Finding | None:
    if not all_was_served(facts) or not anything_observed(facts):
        return None
    if facts.loop == "closed":
        return "generator", "nothing was at its limit: in a closed loop more clients would have brought more"
    return "none", "all that was offered was served, and nothing that was monitored was at its limit"


def _unknown(facts: Facts) -> Finding:
    if not anything_observed(facts):
        return "unknown", "no node was observed in the steady part of the run"
    short = f"{facts.achieved:.1f} of {facts.offered:.1f} arrivals a second were served"
    errors = sum(facts.errors.values())
    short += f" and {errors} of {facts.arrivals} failed" if errors else ""
    unobserved = f"; not observed: {'; '.join(facts.gaps)}" if facts.gaps else ""
    return "unknown", f"{short}, and nothing that was monitored was at its limit{unobserved}"


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
    _unknown,
)


def _called(facts: Facts, use: Use) -> str:
    if use.role == "database":
        return f"database {use.node}"
    names = {"worker": "worker cpu", "server": "server cpu", "balancer": "balancer"}
    return names.get(kind(facts, use), f"{use.node} cpu")


def _is_a_gateways(text: str) -> bool:
    return any(word in text.lower() for word in GATEWAY)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _stolen(use: Use) -> str:
    return f" ({_percent(use.steal)} of it taken by the hypervisor)" if use.steal >= STOLEN else ""

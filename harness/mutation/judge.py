"""What noticed a mutant, and by what: packets first, then the rules as the API reports them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.core import ports
from harness.core.names import part_of_name
from harness.core.ports import ALL, NONE, Ports
from harness.firewall.model import Pair
from harness.isolation.model import Difference, Observation
from harness.mutation.effect import Affected, Effect
from harness.mutation.model import Mutant, Verdict
from harness.topology.model import OPERATORS, Protocol

OBSERVED = ("admitted", "denied")
MOST_PAIRS = 6
SAMPLE = 8  # of the ports of a protocol that are not all probed, from each end

Observe = Callable[[Sequence[Pair], Mapping[Protocol, Ports]], Observation]
Differences = Callable[[Observation | None], Sequence[Difference]]
Question = tuple[Sequence[Pair], Mapping[Protocol, Ports]]
Drift = Callable[[], Sequence[str]]


@dataclass(frozen=True)
class EvidenceSources:
    """What can notice that something is wrong; each observes the deployment as it is when it is called.

    ``observe`` sends packets; ``differences`` compares what it is given, and the rules as the API reports
    them, with the topology's intent; ``drift`` names what is not as the topology declares it.
    """

    observe: Observe
    differences: Differences
    drift: Drift


def noticed_by_rules(evidence_sources: EvidenceSources) -> tuple[str, ...]:
    """What the reported rules alone show, without a packet."""
    computed = [
        f"computed: {_describe(each)} is {each.computed}, meant to be {each.intended}"
        for each in evidence_sources.differences(None)
        if each.computed != each.intended
    ]
    return (*computed, *(f"drift: {each}" for each in evidence_sources.drift()))


def observed_effects(
    evidence_sources: EvidenceSources, effect: Effect, questions: Sequence[Question]
) -> tuple[tuple[str, ...], str]:
    """What packets show of the mutant in force, and where that is not known, why.

    Only what the mutant changes counts; ports that are not affected prove nothing.
    """
    observation = _together([evidence_sources.observe(*each) for each in questions])
    found = [
        f"observed: {_describe(each, within)} is {each.observed}, meant to be {each.intended}"
        + (f"; {' and '.join(effect.opened_ends)} opened to see it" if effect.opened_ends else "")
        for each in evidence_sources.differences(observation)
        if each.observed in OBSERVED and each.observed != each.intended
        if (within := _within(effect.affected, each))
    ]
    return tuple(found), "" if found else "; ".join(_doubts(effect.affected, observation))


def verdict(
    mutant: Mutant, effect: Effect, observed: Sequence[str], noticed: Sequence[str], doubt: str
) -> Verdict:
    """The verdict of a mutant that was in force. Packets kill; rules only notice; doubt kills nothing."""
    killed_by = (*observed, *noticed)
    visible = not effect.opened_ends
    if observed:
        return Verdict(mutant, "killed", killed_by, visible=visible)
    if doubt:
        return Verdict(mutant, "inconclusive", killed_by, doubt, visible=visible)
    shown = missing(effect)
    return Verdict(mutant, "noticed" if noticed else "survived", killed_by, shown, visible=visible)


def missing(effect: Effect) -> str:
    """What would have shown a survivor."""
    if not effect.affected:
        return "for no packet between ends that can be probed does the outcome change"
    (pair, protocol), which = next(iter(effect.affected.items()))
    flow = f"{pair} {text(protocol, which)}"
    return f"a check that sends {flow} and compares the result with the intent would have shown it"


def choose(affected: Affected, red: Callable[[Pair, Protocol, Ports], bool]) -> tuple[Pair, ...]:
    """The pairs to observe: those that should fail, a few, from as many probe sources as possible."""
    wrong = [pair for (pair, protocol), which in affected.items() if red(pair, protocol, which)]
    ranked = dict.fromkeys((*wrong, *(pair for pair, _ in affected)))
    counts: dict[str, int] = {}
    order = {pair: (pair not in wrong, _nth(counts, pair.source), n) for n, pair in enumerate(ranked)}
    return tuple(sorted(ranked, key=order.__getitem__)[:MOST_PAIRS])


def questions(affected: Affected, chosen: Sequence[Pair], *, whole: bool) -> tuple[Question, ...]:
    """What to probe on which pairs. Operators probe from this machine, one port at a time."""
    own = [each for each in chosen if each.source == OPERATORS]
    others = [each for each in chosen if each.source != OPERATORS]
    made = (others, asked(affected, others, whole=whole)), (own, asked(affected, own, whole=False))
    return tuple(each for each in made if each[0])


def asked(affected: Affected, chosen: Iterable[Pair], *, whole: bool) -> dict[Protocol, Ports]:
    """The ports to probe: all TCP ports where ``whole``, else those affected, their ends and neighbours."""
    wanted: dict[Protocol, Ports] = {"tcp": NONE, "udp": NONE, "icmp": NONE}
    for pair in chosen:
        for protocol, so_far in wanted.items():
            wanted[protocol] = ports.union(so_far, affected.get((pair, protocol), NONE))
    tcp = ALL if whole and wanted["tcp"] else _sample(wanted["tcp"])
    return {"tcp": tcp, "udp": _sample(wanted["udp"]), "icmp": wanted["icmp"]}


def text(protocol: Protocol, which: Ports) -> str:
    """``25060/tcp``, ``icmp``"""
    return "icmp" if protocol == "icmp" else f"{ports.render(which)}/{protocol}"


def _together(observations: Sequence[Observation]) -> Observation:
    first, *rest = observations
    for each in rest:
        partial = first.partial or each.partial
        first = replace(first, results=(*first.results, *each.results), partial=partial)
    return first


def _sample(which: Ports) -> Ports:
    """Each range whole where it is short, else both its ends; and the ports beside it."""
    picked: list[Ports] = []
    for first, last in which:
        low, high = max(first - 1, 1), min(last + 1, 65535)
        short = high - low < 4 * SAMPLE
        picked.append(((low, high),) if short else ((low, low + SAMPLE), (high - SAMPLE, high)))
    return ports.union(*picked)


def _within(affected: Affected, each: Difference) -> Ports:
    return ports.intersect(each.ports, affected.get((each.pair, each.protocol), NONE))


def _doubts(affected: Affected, observation: Observation) -> Iterator[str]:
    if observation.partial:
        yield observation.partial
    for each in observation.results:
        if ports.intersect(each.inconclusive, affected.get((each.pair, each.protocol), NONE)):
            yield f"{each.pair} {each.protocol}: {', '.join(each.doubts) or 'inconclusive'}"


def _describe(each: Difference, which: Ports | None = None) -> str:
    described = f"{each.pair} {text(each.protocol, each.ports if which is None else which)}"
    return f"{described} ({part_of_name(each.firewall) or each.firewall})" if each.firewall else described


def _nth(counts: dict[str, int], source: str) -> int:
    counts[source] = counts.get(source, -1) + 1
    return counts[source]

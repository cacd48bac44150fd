"""From what a vantage found to a verdict, where no fabric testifies. Pure.

An answer is a verdict by itself: the port can be reached. Silence is one only in every pass, and only where
something else shows that the path carried packets in the same run (the *control*); else it is inconclusive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.core import ports
from harness.core.ports import ALL, NONE, Ports
from harness.firewall.model import Pair
from harness.isolation.model import Seen
from harness.topology.model import Protocol

Words = Mapping[str, Ports]

OPEN, CLOSED, SILENT = "open", "closed", "silent"
UNREACHABLE, LOCAL = "unreachable ", "local "
ICMP_PORT: Ports = ((1, 1),)
NO_CONTROL = "silent, and nothing shows that the path carried packets"
UDP_SILENCE = "silent: without the target's testimony that is open or filtered"


@dataclass(frozen=True)
class Control:
    """What shows that a pair's path carries packets: in words, and counted. False: nothing does."""

    words: str = ""
    evidence: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.evidence)


@dataclass(frozen=True)
class Account:
    """What one vantage found on one pair by one protocol.

    ``passes`` hold, for each pass, the ports by the word for what came of them (see scripts/probe.py);
    ``again`` the same for what was asked once more afterwards. ``arrived`` is what the target itself saw come
    in, None where it did not testify. ``lost`` says why something was not asked.
    """

    asked: Ports
    passes: tuple[Words, ...]
    again: Words = field(default_factory=dict)
    arrived: Ports | None = None
    lost: str = ""

    def found(self, *words: str) -> Ports:
        """The ports of which any pass said one of ``words``, which may be the beginnings of words."""
        return ports.union(*(_of(each, words) for each in (*self.passes, self.again)))

    @property
    def answered(self) -> Ports:
        """The ports that answered, in any pass."""
        return self.found(OPEN, CLOSED)

    @property
    def answered_in_every_pass(self) -> bool:
        """Whether some port answered in each of the passes."""
        return bool(self.passes) and all(_of(each, (OPEN, CLOSED)) for each in self.passes)

    @property
    def wavering(self) -> Ports:
        """The ports that answered in one pass and did not in another."""
        missed = ports.union(*(_of(each, (SILENT, UNREACHABLE)) for each in self.passes))
        return ports.intersect(self.answered, missed)

    @property
    def testimony(self) -> Ports | None:
        """What arrived, if the target's word can be trusted: it must have seen all that was answered."""
        if self.arrived is None or ports.subtract(self.answered, self.arrived):
            return None
        return self.arrived


def judge(pair: Pair, protocol: Protocol, account: Account, control: Control) -> Seen:
    """The verdict on every port that was asked."""
    asked = account.asked
    opened, closed = account.found(OPEN), account.found(CLOSED)
    both_ways = ports.intersect(opened, closed)
    wavering = ports.subtract(account.wavering, _of(account.again, (OPEN, CLOSED)))
    unanswered = ports.subtract(asked, account.answered)
    denied = ports.intersect(unanswered, _in_every_pass(account.passes))
    unasked = ports.subtract(unanswered, denied)
    arrived = ports.intersect(denied, account.testimony or NONE) if protocol != "tcp" else NONE
    denied = ports.subtract(denied, arrived)
    doubtful = {
        "were answered in two ways": both_ways,
        "were answered in one pass and not in another": ports.subtract(wavering, both_ways),
        **_not_asked(account, unasked),
        **_unproven(protocol, account, denied, control),
    }
    inconclusive = ports.union(*doubtful.values())
    return _seen(
        pair,
        protocol,
        doubts=_doubts(doubtful, account, control),
        probes=sum(_sizes(account).values()),
        evidence={"passes": len(account.passes), **_counted(account), **control.evidence},
        open=ports.subtract(opened, inconclusive),
        closed=ports.subtract(ports.union(closed, arrived), inconclusive),
        filtered=ports.subtract(denied, inconclusive),
        inconclusive=inconclusive,
    )


def merge(*seen: Seen) -> Seen:
    """Several verdicts on different ports of one pair and protocol as one."""
    first = seen[0]
    evidence = {name: value for each in reversed(seen) for name, value in each.evidence.items()}
    return Seen(
        first.pair,
        first.protocol,
        open=ports.union(*(each.open for each in seen)),
        closed=ports.union(*(each.closed for each in seen)),
        filtered=ports.union(*(each.filtered for each in seen)),
        inconclusive=ports.union(*(each.inconclusive for each in seen)),
        doubts=tuple(dict.fromkeys(doubt for each in seen for doubt in each.doubts)),
        probes=sum(each.probes for each in seen),
        evidence=evidence,
    )


def _of(words: Words, wanted: Sequence[str]) -> Ports:
    return ports.union(*(found for word, found in words.items() if word.startswith(tuple(wanted))))


def _in_every_pass(passes: Iterable[Words]) -> Ports:
    """The ports that every pass, one at least, has asked in vain."""
    common: Ports | None = None
    for words in passes:
        found = _of(words, (SILENT, UNREACHABLE))
        common = found if common is None else ports.intersect(common, found)
    return common or NONE


def _not_asked(account: Account, unasked: Ports) -> dict[str, Ports]:
    """Why some ports have no word in every pass: this side's own errors, or a vantage that was lost."""
    errors = sorted({word for words in (*account.passes, account.again) for word in words if LOCAL in word})
    by_error = {
        f"could not be asked: {word}": ports.intersect(unasked, account.found(word)) for word in errors
    }
    rest = ports.subtract(unasked, ports.union(*by_error.values()))
    return {**by_error, f"were not fully asked: {account.lost or 'no answer came'}": rest}


def _unproven(protocol: Protocol, account: Account, denied: Ports, control: Control) -> dict[str, Ports]:
    """Silence that is no verdict."""
    if protocol == "udp" and account.testimony is None:
        heard = ports.intersect(denied, account.found(UNREACHABLE)) if control else NONE
        return {UDP_SILENCE: ports.subtract(denied, heard)}
    return {} if control else {NO_CONTROL: denied}


def _doubts(doubtful: Mapping[str, Ports], account: Account, control: Control) -> tuple[str, ...]:
    told = [f"{ports.render(each)} {words}" for words, each in doubtful.items() if each]
    words = {
        word for each in (*account.passes, account.again) for word in each if word.startswith(UNREACHABLE)
    }
    told += [f"{ports.render(account.found(word))} {word}" for word in sorted(words)]
    return (*told, control.words) if control.words else tuple(told)


def _counted(account: Account) -> dict[str, int]:
    arrived = {} if account.arrived is None else {"arrived_ports": ports.size(account.arrived)}
    return {**_sizes(account), **arrived}


def _sizes(account: Account) -> dict[str, int]:
    """Attempts by what came of them, over all passes."""
    sizes: dict[str, int] = {}
    for each in (*account.passes, account.again):
        for word, found in each.items():
            name = word.replace(" ", "_")
            sizes[name] = sizes.get(name, 0) + ports.size(found)
    return sizes


def _seen(
    pair: Pair,
    protocol: Protocol,
    *,
    doubts: tuple[str, ...],
    probes: int,
    evidence: Mapping[str, int],
    **sets: Ports,
) -> Seen:
    if protocol == "icmp":
        sets = {name: ALL if each else NONE for name, each in sets.items()}
        doubts = tuple(each.removeprefix("1 ") for each in doubts)
    return Seen(pair, protocol, doubts=doubts, probes=probes, evidence=evidence, **sets)

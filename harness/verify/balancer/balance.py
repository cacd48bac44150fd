"""Does a load balancer distribute requests as configured? The arithmetic.

What answered which request is read from whatever shows it: the balancer's log or a header of the answer
that name an upstream address, the servers' own logs, or else the connections between them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.core.errors import InconclusiveError

# The probability of calling a correct balance wrong, where the method is random.
ERROR = 1e-6
IN_TURN = "round robin"
BY_CHANCE = ("random", "least_conn", "least_time")


@dataclass(frozen=True)
class Balance:
    """An ``upstream`` block: each server's weight by ``address:port``, and the method."""

    name: str
    weights: Mapping[str, int]
    method: str = IN_TURN
    spares: tuple[str, ...] = field(default=())

    @property
    def share(self) -> Mapping[str, float]:
        """The share of requests that each server should get."""
        whole = sum(self.weights.values())
        return {server: weight / whole for server, weight in self.weights.items()}

    @property
    def turn(self) -> int:
        """How many requests make one round."""
        return sum(self.weights.values())


def wrong(balance: Balance, counts: Mapping[str, int]) -> str:
    """What is wrong with the distribution of requests; empty if nothing is.

    Round robin is exact: after whole rounds each server had its weight in each, and at most one more or less
    where a round was cut. Otherwise by Hoeffding's bound, with ``ERROR`` as the chance of a false alarm.
    Raises ``InconclusiveError`` for a method that sends everything from one client to one server.
    """
    others = sorted(set(counts) - set(balance.weights) - set(balance.spares))
    if others:
        return f"{', '.join(others)} took requests and is not a server of upstream {balance.name}"
    if balance.method not in (IN_TURN, *BY_CHANCE):
        raise InconclusiveError(
            f"upstream {balance.name} balances by {balance.method}: one client's requests do not show it"
        )
    total = sum(counts.values())
    allowed = slack(balance, total)
    off = {
        server: counts.get(server, 0)
        for server, share in balance.share.items()
        if abs(counts.get(server, 0) - share * total) > allowed
    }
    counted = ", ".join(f"{server} {counts.get(server, 0)}" for server in balance.weights)
    expected = ", ".join(f"{server} {share * total:g}" for server, share in balance.share.items())
    return f"of {total} requests: {counted}; {balance.method} gives {expected} ± {allowed:.0f}" if off else ""


def slack(balance: Balance, total: int) -> float:
    """The number of requests by which a server's count may differ from its share."""
    if balance.method == IN_TURN:
        return 0.0 if total % balance.turn == 0 else 1.0
    return math.sqrt(total * math.log(2 * len(balance.weights) / ERROR) / 2)


def enough(balance: Balance) -> int:
    """How many requests show the balance: whole rounds, and more where the method is random."""
    rounds = 10 if balance.method == IN_TURN else math.ceil(400 / balance.turn)
    return balance.turn * max(rounds, math.ceil(20 / balance.turn))


def took(lines: Iterable[str], servers: Sequence[str]) -> Counter[str]:
    """The server that each line of a log, or of headers, names: the last one where another failed first."""
    pattern = re.compile("|".join(rf"(?<![\d.]){re.escape(server)}(?!\d)" for server in servers))
    found = (pattern.findall(line) for line in lines)
    return Counter(each[-1] for each in found if each)

"""The orders of a scaling, and its results; in a swarm or without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.core.errors import UsageError
from harness.topology.source import did_you_mean


@dataclass(frozen=True)
class Scaled:
    """The result for one service: how many tasks were ordered ``before`` and now, and where these run.

    ``nodes`` names a droplet once for each of its tasks.
    """

    service: str
    before: int
    replicas: int
    nodes: tuple[str, ...]


def parse_orders(orders: Sequence[str]) -> dict[str, int]:
    """``SERVICE=REPLICAS`` each. Raises ``UsageError``."""
    wanted: dict[str, int] = {}
    for each in orders:
        name, _, count = each.partition("=")
        if not name or not count.removeprefix("-").isdecimal():
            raise UsageError(f"{each!r}: write SERVICE=REPLICAS, like judge0-worker=5")
        if name in wanted:
            raise UsageError(f"{name} is given twice: {wanted[name]} and {count} replicas")
        wanted[name] = int(count)
    return wanted


def check(wanted: Mapping[str, int], known: Sequence[str], where: str) -> None:
    """Raise ``UsageError`` unless every service is ``known`` and every number possible."""
    if not known:
        raise UsageError(f"nothing runs under {where}: `wavetank up` deploys it")
    for name, count in wanted.items():
        if name not in known:
            raise UsageError(f"no service {name!r} in {where}: {did_you_mean(name, known)}")
        if count < 0:
            raise UsageError(f"{name}={count}: the number of replicas is 0 or more")

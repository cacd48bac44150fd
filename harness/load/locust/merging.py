"""Merge the recordings and the progress of all workers, as if there were one generator."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.judge0.model import NEVER
from harness.load.generator.ticks import quantiles_ms
from harness.load.locust.shares import Share, chosen
from harness.load.model import SAMPLE, SECOND, Order, Outcome, Recording, Samples, Tick
from harness.load.recorder import TEXTS

COUNTS = ("begun", "accepted", "ended", "errors")
RAW = ("latency", "late")
UNKNOWN = ("sent", "accepted", "ended", "queued_us", "ran_us", "judged_us")


@dataclass(frozen=True)
class Part:
    """What one worker recorded, as in :class:`Recording`."""

    samples: Samples
    seconds: float
    cpu_seconds: float
    peak_connections: int
    starved: int
    partial: str
    messages: Mapping[str, Sequence[str]]


def as_part(document: Mapping[str, Any]) -> Part:
    """A part as a worker reported it."""
    samples = np.frombuffer(base64.b64decode(document["samples"]), SAMPLE).copy()
    return Part(**{**document, "samples": samples})


def merge(
    shares: Sequence[Share], parts: Mapping[int, Part], lost: Mapping[int, str], began: float
) -> Recording:
    """One recording from the parts by worker. ``lost`` says of the others, in words, who they are and why.

    Arrivals of a lost worker that were due by the end of the run are ``UNFINISHED``; in a closed loop nobody
    knows of them.
    """
    seconds = max((part.seconds for part in parts.values()), default=0.0)
    stopped = any(part.partial for part in parts.values())
    rows = [(index, part.samples) for index, part in parts.items()]
    until = seconds if stopped else np.inf
    rows += [(index, _unfinished(shares[index], until)) for index in lost if index not in parts]
    return Recording(
        samples=_in_order(shares, rows),
        began=began,
        seconds=seconds,
        cpu_seconds=sum(part.cpu_seconds for part in parts.values()),
        peak_connections=sum(part.peak_connections for part in parts.values()),
        starved=sum(part.starved for part in parts.values()),
        partial="; ".join(dict.fromkeys([*lost.values(), *_partial(parts)])),
        messages=_said(parts, lost),
    )


def merged_tick(order: Order, ticks: Sequence[Mapping[str, Any]], at: float) -> Tick:
    """The progress of all workers after ``at`` seconds, from the last report of each."""
    sums = {name: sum(int(tick[name]) for tick in ticks) for name in COUNTS}
    latency, late = (np.array([each for tick in ticks for each in tick[name]], np.int64) for name in RAW)
    p50, p99 = quantiles_ms(latency, 0.5, 0.99)
    due = int(np.searchsorted(order.arrivals, at * SECOND, side="right"))
    return Tick(
        at=at,
        due=due if order.loop == "open" else sums["begun"],
        in_flight=sums["begun"] - sums["ended"],
        p50=p50,
        p99=p99,
        late_p99=quantiles_ms(late, 0.99)[0],
        **sums,
    )


def _unfinished(share: Share, until: float) -> Samples:
    arrivals = share.order.arrivals if share.order.loop == "open" else np.empty(0, np.int64)
    due = arrivals[arrivals <= until * SECOND]
    rows = np.zeros(len(due), SAMPLE)
    for name in UNKNOWN:
        rows[name] = NEVER
    rows["program"], rows["outcome"] = chosen(share)[: len(due)], Outcome.UNFINISHED
    rows["intended"] = due
    return rows


def _in_order(shares: Sequence[Share], rows: Sequence[tuple[int, Samples]]) -> Samples:
    """By when each was due; of those due at once, as one generator would have numbered them."""
    whole = np.concatenate([np.empty(0, SAMPLE), *(each for _, each in rows)])
    numbers = [np.arange(len(each)) * len(shares) + index for index, each in rows]
    return whole[np.lexsort((np.concatenate([np.empty(0, np.int64), *numbers]), whole["intended"]))]


def _partial(parts: Mapping[int, Part]) -> list[str]:
    return list(dict.fromkeys(part.partial for part in parts.values() if part.partial))[:1]


def _said(parts: Mapping[int, Part], lost: Mapping[int, str]) -> dict[str, tuple[str, ...]]:
    texts: dict[str, dict[str, None]] = {}
    if lost:
        texts[Outcome.UNFINISHED.name] = dict.fromkeys(lost.values())
    for part in parts.values():
        for name, messages in part.messages.items():
            texts.setdefault(name, {}).update(dict.fromkeys(messages))
    return {name: tuple(messages)[:TEXTS] for name, messages in texts.items()}

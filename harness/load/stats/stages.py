"""Results of one run's samples: latency of each stage, counts a second, rates, lateness.

Latencies of stages are of successful arrivals (``OK``); a wrong, refused or failed answer is not a fast
success, and is counted by `errors`. So that leaving those out cannot make a run look better, an objective is
judged by `quantile`, for which everything unsuccessful is infinite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.load.model import SECOND, Outcome, Samples
from harness.load.result import Interval, Second, Stage
from harness.load.stats.histogram import quantiles, stage_of
from harness.load.stats.interval import quantile_interval

# Judged here counts as ended; anything else with an end is an error.
JUDGED = (Outcome.OK, Outcome.WRONG)


@dataclass(frozen=True)
class Rates:
    """Arrivals due, and arrivals that ended well, a second of a window."""

    offered: float
    achieved: float


def stages(samples: Samples) -> dict[str, Stage]:
    """Latency of each of `result.STAGES` of successful arrivals; an unknown stage has no entry.

    ``accepted`` and ``total`` count from the intended start; the others are durations by Judge0's clock.
    """
    good = samples[samples["outcome"] == Outcome.OK]
    values = {
        "accepted": _since_intended(good, "accepted"),
        "queue": _told_us(good, "queued_us"),
        "execution": _told_us(good, "ran_us"),
        "judged": _told_us(good, "judged_us"),
        "total": _since_intended(good, "ended"),
    }
    return {name: stage_of(known) for name, known in values.items() if len(known)}


def steady(samples: Samples, from_ns: int, until_ns: int) -> Samples:
    """Those that were intended to begin from ``from_ns`` on and before ``until_ns``."""
    intended = samples["intended"]
    return samples[(from_ns <= intended) & (intended < until_ns)]


def errors(samples: Samples) -> dict[str, int]:
    """How many had each outcome that is not ``OK``, by its name in lower case; none: no entry."""
    counts = np.bincount(samples["outcome"], minlength=len(Outcome))
    return {o.name.lower(): int(counts[o]) for o in Outcome if o is not Outcome.OK and counts[o]}


def latencies(samples: Samples) -> npt.NDArray[np.float64]:
    """Each one's latency (ms) from its intended start, in their order; ``inf`` if it did not end well."""
    well = samples["outcome"] == Outcome.OK
    return np.where(well, (samples["ended"] - samples["intended"]) / 1e6, math.inf)


def quantile(samples: Samples, share: float) -> float:
    """The quantile of the latency (ms) of all; ``math.inf`` if it falls among those that did not end well.

    ValueError: no samples.
    """
    if not len(samples):
        raise ValueError("no samples to take a quantile of")
    return quantiles(np.sort(latencies(samples)), (share,))[0]


def quantile_of_run(samples: Samples, share: float, confidence: float = 0.95) -> Interval:
    """`quantile` with its interval, in which neighbours count as fewer (see `quantile_interval`)."""
    return quantile_interval(latencies(samples), share, confidence, serial=True)


def told_of_endless(samples: Samples) -> str:
    """What did not end well, and from which quantile on it makes latency endless; empty: all ended well."""
    bad = int(np.count_nonzero(samples["outcome"] != Outcome.OK))
    if not bad:
        return ""
    counts = ", ".join(f"{count} {name}" for name, count in errors(samples).items())
    share = 1 - bad / len(samples)
    return (
        f"{bad} of {len(samples)} did not end well ({counts}): the latency of stages is of the others, "
        f"and counted over all it is endless beyond the {share:.2%} quantile"
    )


def rates(samples: Samples, from_ns: int, until_ns: int) -> Rates:
    """Of a window of a run, of all whose samples: what was due in it, and what ended well in it.

    What ended in it may have begun before it, as in any stretch of a steady run.
    """
    seconds = (until_ns - from_ns) / SECOND
    ended = samples["ended"][samples["outcome"] == Outcome.OK]
    achieved = np.count_nonzero((from_ns <= ended) & (ended < until_ns))
    return Rates(len(steady(samples, from_ns, until_ns)) / seconds, float(achieved) / seconds)


def lateness_ms(samples: Samples, share: float = 0.99) -> float:
    """The quantile of how late the generator itself sent; 0 if nothing was sent."""
    sent = samples[samples["sent"] >= 0]
    late = np.sort((sent["sent"] - sent["intended"]) / 1e6)
    return quantiles(late, (share,))[0] if len(late) else 0.0


def in_flight(samples: Samples, from_ns: int, until_ns: int) -> float:
    """How many were in flight on average in a window, from its intended start; all through without an end."""
    begun = np.clip(samples["intended"], from_ns, until_ns)
    ended = np.where(samples["ended"] >= 0, samples["ended"], until_ns)
    return float((np.clip(ended, begun, until_ns) - begun).sum() / (until_ns - from_ns))


def series(samples: Samples, seconds: float) -> tuple[Second, ...]:
    """Counts within each second of ``seconds``, and what ended well in it. What came later is left out.

    An error counts when it was known, or when it was due if that was never noted. ``in_flight`` is at the
    second's end.
    """
    count = max(1, math.ceil(seconds))
    outcome, ended = samples["outcome"], samples["ended"]
    judged = np.isin(outcome, JUDGED) & (ended >= 0)
    known = np.where(ended >= 0, ended, samples["intended"])
    sent = _per_second(samples["sent"], count)
    gone = _per_second(ended[samples["sent"] >= 0], count)
    columns = {
        "due": _per_second(samples["intended"], count),
        "sent": sent,
        "accepted": _per_second(samples["accepted"], count),
        "ended": _per_second(ended[judged], count),
        "errors": _per_second(known[outcome != Outcome.OK], count),
        "in_flight": np.cumsum(sent) - np.cumsum(gone),
    }
    quantile_pairs = _quantiles_per_second(samples, count)
    return tuple(
        Second(
            t=float(t), **{name: int(column[t]) for name, column in columns.items()}, p50_ms=p50, p99_ms=p99
        )
        for t, (p50, p99) in enumerate(quantile_pairs)
    )


def _quantiles_per_second(samples: Samples, count: int) -> list[tuple[float | None, float | None]]:
    good = samples[samples["outcome"] == Outcome.OK]
    good = good[np.argsort(good["ended"], kind="stable")]
    edges = np.searchsorted(good["ended"], np.arange(1, count) * SECOND)
    pieces = np.split(_since_intended(good, "ended"), edges)[:count]
    return [_pair(np.sort(piece)) for piece in pieces]


def _pair(ordered: npt.NDArray[np.float64]) -> tuple[float | None, float | None]:
    if not len(ordered):
        return None, None
    p50, p99 = quantiles(ordered, (0.5, 0.99))
    return p50, p99


def _per_second(moments: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """How many of the moments (ns, negative: never) fall into each second."""
    happened = moments[(moments >= 0) & (moments < count * SECOND)]
    return np.bincount(happened // SECOND, minlength=count).astype(np.int64)


def _since_intended(samples: Samples, name: str) -> npt.NDArray[np.float64]:
    known = samples[samples[name] >= 0]
    return np.asarray(np.maximum((known[name] - known["intended"]) / 1e6, 0.0), dtype=np.float64)


def _told_us(samples: Samples, name: str) -> npt.NDArray[np.float64]:
    known = samples[name][samples[name] >= 0]
    return np.asarray(known / 1e3, dtype=np.float64)

"""HDR histograms (hdrhistogram.org): made of arrays, stored as V2 compressed base64, merged.

From 1 us to 10 min with three significant digits: a value is off by 0.1 % at most. Latencies are ms here, and
whole microseconds in the histogram; what is longer than ten minutes counts as ten.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

from harness.core.errors import UsageError
from harness.load.result import Stage

LOWEST_US, HIGHEST_US, DIGITS = 1, 600_000_000, 3
# 2,048 values of each power of two are kept apart (11 bits): the width that three digits take.
KEPT_BITS = 11

Milliseconds: TypeAlias = npt.NDArray[np.float64]
Curve: TypeAlias = tuple[tuple[float, float], ...]


def stage_of(values_ms: Milliseconds) -> Stage:
    """Latency of one stage, of at least one value; ValueError if one is negative, endless or no number.

    Quantiles are of the values themselves, not of the histogram: the least value that at least such a share
    does not exceed. Of fewer than 1,000 values ``p999_ms`` is therefore the maximum.
    """
    ordered = np.sort(_checked(values_ms))
    p50, p90, p99, p999 = quantiles(ordered, (0.5, 0.9, 0.99, 0.999))
    return Stage(
        count=len(ordered),
        mean_ms=float(ordered.mean()),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        p999_ms=p999,
        max_ms=float(ordered[-1]),
        hdr=encode(histogram_of(ordered)),
        curve=_curve(ordered),
    )


def quantiles(ordered: Milliseconds, shares: Sequence[float]) -> tuple[float, ...]:
    """The least of the values, which ascend, that at least each share of them does not exceed."""
    ranks = np.ceil(np.asarray(shares) * len(ordered) - 1e-9).astype(np.int64)
    return tuple(float(value) for value in ordered[np.clip(ranks - 1, 0, len(ordered) - 1)])


def histogram_of(values_ms: Milliseconds) -> Any:
    """A `HdrHistogram` of microseconds; a million values take some tens of ms."""
    histogram = _empty()
    for value, count in zip(*_buckets(_microseconds(values_ms)), strict=True):
        histogram.record_value(int(value), int(count))
    return histogram


def encode(histogram: Any) -> str:
    """As text: V2, compressed, base64."""
    text: bytes = histogram.encode()
    return text.decode("ascii")


def decode(text: str) -> Any:
    """The `HdrHistogram` of microseconds that ``text`` holds; UsageError if it holds none."""
    try:
        base64.b64decode(text, validate=True)
        return HdrHistogram.decode(text)
    except (binascii.Error, zlib.error, ValueError, TypeError, HdrCookieException, HdrLengthException) as why:
        raise UsageError(
            f"not an HDR histogram (V2, compressed, base64): {text[:40]!r}: {type(why).__name__}"
        ) from why


def merge(stages: Sequence[Stage]) -> Stage:
    """One stage of several, by their histograms: count, mean and maximum exact, quantiles within 0.1 %."""
    whole = _empty()
    for stage in stages:
        whole.add(decode(stage.hdr))
    counts = [stage.count for stage in stages]
    longest = max(stage.max_ms for stage in stages)
    values = np.minimum(np.repeat(*_recorded(whole)), longest)
    p50, p90, p99, p999 = quantiles(values, (0.5, 0.9, 0.99, 0.999))
    return Stage(
        count=sum(counts),
        mean_ms=float(np.average([stage.mean_ms for stage in stages], weights=counts)),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        p999_ms=p999,
        max_ms=longest,
        hdr=encode(whole),
        curve=_curve(values),
    )


def _empty() -> Any:
    return HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)


def _checked(values_ms: Milliseconds) -> Milliseconds:
    values = np.asarray(values_ms, dtype=np.float64)
    if not len(values):
        raise ValueError("no latencies to make a stage of")
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError("a latency is negative, endless or not a number")
    return values


def _microseconds(values_ms: Milliseconds) -> npt.NDArray[np.int64]:
    return np.clip(np.rint(values_ms * 1000), 0, HIGHEST_US).astype(np.int64)


def _buckets(values: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The least value of each bucket that is used, and how many fall into it.

    Recording one by one costs 0.7 us each; this way it is once a bucket.
    """
    bits = np.frexp(values.astype(np.float64))[1]
    surplus = np.maximum(bits - KEPT_BITS, 0)
    least, counts = np.unique((values >> surplus) << surplus, return_counts=True)
    return least, counts.astype(np.int64)


def _recorded(histogram: Any) -> tuple[Milliseconds, npt.NDArray[np.int64]]:
    """Each bucket's greatest value, as HDR tells quantiles, in ms, and its count."""
    counts = np.array([histogram.get_count_at_index(i) for i in range(histogram.counts_len)], dtype=np.int64)
    used = np.flatnonzero(counts)
    greatest = [histogram.get_highest_equivalent_value(histogram.get_value_from_index(int(i))) for i in used]
    return np.array(greatest, dtype=np.float64) / 1000, counts[used]


def _curve(ordered: Milliseconds) -> Curve:
    """Four points for each tenfold of 1 / (1 - q): 0, .25, .5, .75, .9, ...; the last is the maximum."""
    last = 1 - 1 / len(ordered)
    decades = range(int(np.ceil(np.log10(len(ordered)))) + 1)
    shares = [1 - part * 10.0**-decade for decade in decades for part in (1, 0.75, 0.5, 0.25)]
    inner = [round(share, 12) for share in shares if share < last - 1e-12]
    return (*zip(inner, quantiles(ordered, inner), strict=True), (last, float(ordered[-1])))

"""When arrivals are due: ns since the start, ascending. The same parameters and seed give the same times."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from harness.core.documents import BYTE_ORDER_MARK, MIB, read_text
from harness.core.errors import TopologyError, UsageError
from harness.load.model import SECOND, Times

MOST = 50_000_000
LARGEST_TRACE = 64 * MIB
FORMS = "constant:50x30s, poisson:50x30s, ramp:10-100x60s, steps:10x30s,20x30s or trace:FILE"
_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_STEP = re.compile(rf"{_NUMBER}x{_NUMBER}(ms|s|m|h)")
_RAMP = re.compile(rf"{_NUMBER}-{_NUMBER}x{_NUMBER}(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def constant(rate: float, seconds: float) -> Times:
    """One every 1/``rate`` seconds, the first at once. All of these functions raise ``UsageError``."""
    _check(rate, seconds)
    return _ns(np.arange(math.ceil(rate * seconds - 1e-9)) / rate)


def poisson(rate: float, seconds: float, seed: int) -> Times:
    """Independent arrivals, a Poisson process: gaps are exponential, the number varies with the seed."""
    _check(rate, seconds)
    random = np.random.default_rng(seed)
    # Given their number, the arrivals of a Poisson process are uniform over the time (and then sorted).
    return _ns(np.sort(random.uniform(0, seconds, random.poisson(rate * seconds))))


def even_poisson(rate: float, seconds: float, seed: int) -> Times:
    """The same with exactly as many arrivals as ``rate`` says, so that chance does not blur comparisons."""
    _check(rate, seconds)
    return _ns(np.sort(np.random.default_rng(seed).uniform(0, seconds, max(round(rate * seconds), 1))))


def ramp(first: float, last: float, seconds: float) -> Times:
    """Evenly from one rate to another: the n-th is due when the integral of the rate reaches n."""
    _check(first, seconds)
    _check(last, seconds)
    numbers = np.arange(math.ceil((first + last) / 2 * seconds - 1e-9))
    slope = (last - first) / seconds
    # n = first t + slope t² / 2, solved for t in the form that has no 0/0 at slope 0
    return _ns(2 * numbers / (first + np.sqrt(np.maximum(first**2 + 2 * slope * numbers, 0))))


def steps(wanted: Sequence[tuple[float, float]]) -> Times:
    """Constant rates one after the other, each (rate, seconds)."""
    if not wanted:
        raise UsageError(f"a schedule needs at least one step: use {FORMS}")
    start, made = 0.0, []
    for rate, seconds in wanted:
        made.append(constant(rate, seconds) + round(start * SECOND))
        start += seconds
    times: Times = np.concatenate(made)
    return times


def trace(file: Path) -> Times:
    """Recorded arrivals: a file with one time in seconds a line, ascending; ``#`` begins a comment."""
    remedy = "give a text file with one time in seconds a line"
    try:
        text = read_text(file, largest=LARGEST_TRACE, remedy=remedy)
    except TopologyError as error:
        problem = f"this trace {error.problem}"
        raise TopologyError(problem, file=file, line=error.line, remedy=error.remedy) from error
    lines = text.removeprefix(BYTE_ORDER_MARK).splitlines()
    seconds: list[float] = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if text:
            seconds.append(_traced(text, f"{file}:{number}", seconds[-1] if seconds else 0.0))
    if not seconds:
        raise UsageError(f"{file}: this trace has no arrivals: write one time in seconds per line")
    return _ns(np.asarray(seconds))


def parse(text: str, *, seed: int) -> Times:
    """A schedule as the command line writes it: ``constant:50x30s``, ``poisson:50x30s``, ``ramp:10-100x60s``,
    ``steps:10x30s,20x30s`` or ``trace:FILE``; lengths in ms, s, m or h.

    ``seed`` is for ``poisson``. Raises ``UsageError`` for anything else.
    """
    kind, _, rest = text.partition(":")
    kinds: dict[str, Callable[[], Times]] = {
        "constant": lambda: constant(*_step(text, rest)),
        "poisson": lambda: poisson(*_step(text, rest), seed),
        "ramp": lambda: ramp(*_ramp(text, rest)),
        "steps": lambda: steps([_step(text, part) for part in rest.split(",")]),
        "trace": lambda: trace(Path(rest)),
    }
    if kind not in kinds or not rest:
        raise _malformed(text)
    return kinds[kind]()


def _check(rate: float, seconds: float) -> None:
    if not 0 < rate < math.inf:
        raise UsageError(f"a rate of {rate:g} arrivals a second is not possible: use more than 0, like 50")
    if not 0 < seconds < math.inf:
        raise UsageError(f"{seconds:g} s is not a duration for a load: use more than 0, like 30")
    if rate * seconds > MOST:
        problem = f"{rate:g} a second for {seconds:g} s are more than {MOST:,} arrivals"
        raise UsageError(f"{problem}: use a lower rate or a shorter time")


def _ns(seconds: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Times:
    return np.rint(seconds * SECOND).astype(np.int64)


def _step(whole: str, text: str) -> tuple[float, float]:
    found = _STEP.fullmatch(text.strip())
    if not found:
        raise _malformed(whole)
    return float(found[1]), float(found[2]) * _UNITS[found[3]]


def _ramp(whole: str, text: str) -> tuple[float, float, float]:
    found = _RAMP.fullmatch(text.strip())
    if not found:
        raise _malformed(whole)
    return float(found[1]), float(found[2]), float(found[3]) * _UNITS[found[4]]


def _malformed(text: str) -> UsageError:
    return UsageError(f"{text!r} is not a schedule: take {FORMS}")


def _traced(text: str, where: str, before: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not before <= value < math.inf:
        raise UsageError(f"{where}: {text!r} is not a time in seconds at or after the one before it")
    return value

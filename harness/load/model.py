"""A load and its recording: plain data that every part of this package shares.

Times within a run are nanoseconds since its start (``int``; ``NEVER`` if something did not happen); other
clocks, such as Judge0's, are only used for durations, in microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.judge0.model import Program, Route

SECOND = 1_000_000_000

Loop = Literal["open", "closed"]

Times: TypeAlias = npt.NDArray[np.int64]


class Outcome(IntEnum):
    """The result of one arrival, as its sender sees it."""

    OK = 0
    WRONG = 1  # judged, but not the status or the output that the program must have
    REFUSED = 2  # answered that it is not accepted now: 429, 503
    FAILED = 3  # answered with another HTTP status, or in a form that cannot be read
    BROKEN = 4  # no connection, or one that ended before the answer
    UNANSWERED = 5  # no answer, or no final status, in time
    UNFINISHED = 6  # in flight when the run was ended


# One row for each arrival, in the order of arrivals.
SAMPLE = np.dtype(
    [
        ("program", "<i2"),  # index into Workload.programs
        ("outcome", "<u1"),
        ("status", "<u1"),  # Judge0's status id; 0: unknown
        ("intended", "<i8"),  # ns: when the schedule wanted it to begin
        ("sent", "<i8"),  # ns: its first byte was given to the kernel
        ("accepted", "<i8"),  # ns: it was accepted (with `wait`: as `ended`)
        ("ended", "<i8"),  # ns: its final status was known here
        ("queued_us", "<i8"),  # by Judge0's timestamps: from creation until a worker began with it
        ("ran_us", "<i8"),  # by Judge0's own measure: execution, wall time
        ("judged_us", "<i8"),  # by Judge0's timestamps: from creation to final status
    ]
)
Samples: TypeAlias = npt.NDArray[np.void]


@dataclass(frozen=True)
class Workload:
    """The programs to submit, and their mix. The same ``seed`` gives the same sequence of programs."""

    name: str
    programs: tuple[Program, ...]
    seed: int = 1


@dataclass(frozen=True)
class Order:
    """One run of the generator.

    ``arrivals`` are due times in ns from the start, ascending (open loop). With ``loop`` ``closed`` they are
    not used: ``clients`` clients submit one program after the other for ``seconds``. ``connections`` is the
    maximum of open connections, ``timeout`` the seconds from the intended start after which an arrival is
    given up, ``drain`` how many seconds to wait, after the last arrival, for what is still in flight.
    """

    route: Route
    workload: Workload
    arrivals: Times
    loop: Loop = "open"
    clients: int = 0
    seconds: float = 0.0
    connections: int = 256
    timeout: float = 60.0
    drain: float = 60.0


@dataclass(frozen=True)
class Tick:
    """The progress of a run, about every 250 ms: counts since the start, quantiles (ms) of the last second.

    ``p50`` and ``p99`` are NaN if nothing ended in it. ``late_p99`` is the generator's own lateness.
    """

    at: float  # seconds since the start
    due: int
    begun: int
    accepted: int
    ended: int
    errors: int
    in_flight: int
    p50: float
    p99: float
    late_p99: float


@dataclass(frozen=True)
class Recording:
    """What the generator recorded.

    ``began`` is Unix time. ``seconds`` is how long it sent and drained. ``cpu_seconds`` is the generator
    process's own. ``starved`` counts arrivals that had to wait because all ``connections`` were in use.
    ``partial`` says why the run ended before its schedule did, or is empty. ``messages`` are the first few
    error texts of each outcome that is not ``OK``.
    """

    samples: Samples
    began: float
    seconds: float
    cpu_seconds: float
    peak_connections: int = 0
    starved: int = 0
    partial: str = ""
    messages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

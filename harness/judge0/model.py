"""A program to be run, and the route on which it is submitted: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.judge0.api import ACCEPTED, BATCH_LIMIT

# In the place of a time or a duration: the thing did not happen, or was not told.
NEVER = -1

SubmissionMode = Literal["wait", "poll", "batch", "callback"]
EntryPoint = Literal["client", "runner", "judge0"]


@dataclass(frozen=True)
class Program:
    """One kind of submission, and what must come of it.

    ``language`` is one of our names (python, javascript, bash, c, cpp). ``status`` is Judge0's id of the
    final status that is right; ``stdout`` the output that is right (compared after stripping the end of
    each line, then of the whole), or None where any will do. ``weight`` is its share of the mix, relative
    to the others'. ``limits`` are further fields of the submission as Judge0 names them, such as
    ``cpu_time_limit``; only Judge0's own API accepts them.
    """

    name: str
    language: str
    source: str
    stdin: str = ""
    status: int = ACCEPTED
    stdout: str | None = None
    weight: float = 1.0
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Address:
    """Where connections lead: ``tcp`` host:port, ``unix`` path ``host``, ``socks`` host:port by ``proxy``.

    ``host_header`` is what requests say in ``Host``. ``tls``: TLS is spoken, not verified (a droplet's
    certificate names no IP address). Sent to another process as it is.
    """

    kind: Literal["tcp", "unix", "socks"]
    host: str
    port: int = 0
    proxy: str = ""
    tls: bool = False
    host_header: str = ""


@dataclass(frozen=True)
class Route:
    """How programs are submitted: the entry point, the submission mode, and the reason for the report.

    Entry points ``client`` and ``runner`` speak the topology's ``checks.front_door`` or ``checks.runner``:
    ``path``, and ``request``, ``reply`` and ``statuses`` as ``FrontDoor`` has them. ``judge0`` speaks
    Judge0's API. ``headers`` go with every request, such as ``X-Auth-Token``. ``ids`` are the language ids
    by our names, as the other end takes them. ``callback_base`` is the URL under which ``callback`` hears.
    ``batch`` is how many submissions one creation holds. ``timestamps`` are the
    fields of a submission that tell when things happened, of those that this Judge0 has.
    """

    entry_point: EntryPoint
    mode: SubmissionMode
    address: Address
    why: str = ""
    path: str = ""
    request: Mapping[str, str] = field(default_factory=dict)
    reply: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ids: Mapping[str, int] = field(default_factory=dict)
    callback_base: str = ""
    batch: int = BATCH_LIMIT
    timestamps: tuple[str, ...] = ()
    poll_seconds: float = 0.05

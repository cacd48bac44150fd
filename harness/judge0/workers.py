"""Judge0's workers: how many there are, how many run a program, and how many submissions wait for one.

The reference Judge0 says so in ``GET /workers``: a list with an entry for each queue, ``{"queue", "size",
"available", "idle", "working", "paused", "failed"}``. ``size`` is how many submissions wait, ``available``
how many workers there are, idle or not. The list is empty if no worker was ever there.

Judge0's own ``GET /workers`` unregisters live workers: Resque 2.0.0 looks for them, by process id, in the
list of the server's own container. So it is not asked: its workers' processes are counted on their nodes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from harness.access.ssh import Access
from harness.core.parallel import in_parallel
from harness.judge0.detect import Get, counts_workers
from harness.topology.model import Topology

# Each of Resque's workers is called what it does. It starts a child for each job, which is called so, too.
TITLES = """\
grep -ahoE '^resque-[0-9.]+: [A-Z][a-z]+' /proc/[0-9]*/cmdline 2>/dev/null || true"""
TITLE = re.compile(r"^resque-[0-9.]+: ([A-Z][a-z]+)$", re.MULTILINE)
RUNS_A_JOB = "Processing"  # the child that does it


@dataclass(frozen=True)
class Workers:
    """``total`` workers, of which ``working`` run a program, and ``waiting`` submissions; None: unknown."""

    total: int
    working: int
    waiting: int | None = None


def named_nodes(topology: Topology) -> tuple[str, ...]:
    """The droplets that run programs, as far as the topology says."""
    return topology.checks.judge0.workers if topology.checks.judge0 else ()


class WorkerCount:
    """Counts the workers of the Judge0 that ``get`` asks, and whose programs run on ``nodes``.

    Each call counts anew; raises what ``get`` does, ``CommandError`` where a node cannot be asked, and
    ``ValueError`` for an answer of another form. Processes of another name are not found: then there are
    none, as where no node is known.
    """

    def __init__(self, get: Get, access: Access, nodes: Sequence[str]) -> None:
        self._get, self._access, self._nodes = get, access, tuple(nodes)

    def __call__(self) -> Workers:
        if self._is_asked:
            return answered(self._get("/workers"))
        return processes(self._access, self._nodes)

    @cached_property
    def _is_asked(self) -> bool:
        return counts_workers(self._get)


def answered(answer: Any) -> Workers:
    """An answer of ``/workers``, all queues together. Raises ``ValueError`` for one of another form."""
    if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
        raise ValueError(f"/workers answered {answer!r:.120}, and not a list of queues")
    try:
        waiting, working, total = (
            sum(int(each[name]) for each in answer) for name in ("size", "working", "available")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"/workers answered {answer!r:.120}: no number under {error}") from error
    return Workers(total, working, waiting)


def processes(access: Access, nodes: Sequence[str]) -> Workers:
    """The workers of Resque's that run on ``nodes``. How many submissions wait, no process knows."""
    steps: list[Callable[[], str]] = [partial(access.run, node, TITLES) for node in nodes]
    titles = [title for text in in_parallel(steps) for title in TITLE.findall(text)]
    working = titles.count(RUNS_A_JOB)
    return Workers(len(titles) - working, working)

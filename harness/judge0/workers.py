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

# Each of Resque's workers is called what it does (resque 2.0.0, lib/resque/worker.rb: procline). It starts a
# child for each job, which is called so, too, unless FORK_PER_JOB is "false".
TITLES = """\
grep -aHoE '^resque-[0-9.]+: [A-Z][a-z]+' /proc/[0-9]*/cmdline 2>/dev/null
grep -HE '^PPid:' /proc/[0-9]*/status 2>/dev/null
true"""
TITLE = re.compile(r"^\S*/(\d+)/cmdline:resque-[0-9.]+: ([A-Z][a-z]+)$", re.MULTILINE)
PARENT = re.compile(r"^\S*/(\d+)/status:PPid:\s*(\d+)$", re.MULTILINE)
RUNS_A_JOB, TAKES_NONE = "Processing", "Paused"


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
    found = [_read(text) for text in in_parallel(steps)]
    return Workers(sum(each.total for each in found), sum(each.working for each in found))


def _read(text: str) -> Workers:
    """The workers of one node. One that has just got a job, or runs it itself, is called as its child is."""
    titles, parents = dict(TITLE.findall(text)), dict(PARENT.findall(text))
    busy = [process for process, title in titles.items() if title == RUNS_A_JOB]
    children = {process for process in busy if parents.get(process) in titles}
    forked = {parents[process] for process in children}
    total = sum(title != TAKES_NONE for process, title in titles.items() if process not in children)
    return Workers(total, len(forked | (set(busy) - children)))

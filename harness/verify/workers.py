"""How many worker processes Judge0 has, without asking it.

Judge0's own ``GET /workers`` unregisters live workers: Resque 2.0.0 looks for them, by process id, in the
list of the server's own container. So it is asked of the reference Judge0 only; else processes are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from harness.access.ssh import Access
from harness.core.parallel import in_parallel
from harness.judge0.client import Judge0
from harness.judge0.detect import counts_workers

# Each of Resque's workers is called what it does; the child that runs a job is not another one.
PROCESSES = """\
for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <"$file" 2>/dev/null; echo; done \
  | grep -E '^resque-[0-9.]+: ' | grep -cvE '^resque-[0-9.]+: Processing' || true"""


def worker_processes(access: Access, nodes: Sequence[str]) -> dict[str, int]:
    """How many workers of Resque's run on each node, idle or not; 0 where they are called otherwise."""
    found = in_parallel([partial(access.run, node, PROCESSES) for node in nodes])
    return {node: int(text.split()[0]) for node, text in zip(nodes, found, strict=True)}


def count(judge0: Judge0, access: Access, nodes: Sequence[str]) -> int:
    """How many programs the workers on ``nodes`` can run at once; 0: unknown, or none.

    Raises ``CheckFailedError`` where Judge0 does not answer.
    """
    return judge0.slots() if counts_workers(judge0.get) else sum(worker_processes(access, nodes).values())

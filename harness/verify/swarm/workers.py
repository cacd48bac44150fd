"""Which containers run programs: those in whose control group a submitted program's process is."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import httpx

from harness.access.ssh import Access
from harness.core.errors import CheckFailedError, InconclusiveError, WaitTimeoutError
from harness.core.parallel import Pool, in_parallel
from harness.core.wait import NotYet, wait_for
from harness.judge0 import frontdoor
from harness.judge0.api import ACCEPTED_TEXT
from harness.judge0.frontdoor import Answer
from harness.judge0.programs import sleeping
from harness.judge0.workers import WorkerCount
from harness.topology.model import FrontDoor, Topology

SEEN_SECONDS, REGISTERED_SECONDS = 30.0, 60.0
NAP = 4  # seconds

# A process's control groups name its container by id.
GROUPS = """\
for each in $(grep -alE '^sleep.{nap}' /proc/[0-9]*/cmdline 2>/dev/null); do
  grep -oE '[0-9a-f]{{64}}' "${{each%/cmdline}}/cgroup" 2>/dev/null | head -n 1
done
true
"""


def services_of(topology: Topology) -> tuple[str, ...]:
    """The stack's services that run programs: those that run on nothing but ``checks.judge0.workers``."""
    if topology.swarm is None or topology.checks.judge0 is None:
        return ()
    workers = set(topology.checks.judge0.workers)
    return tuple(each.name for each in topology.swarm.services if set(each.nodes) <= workers)


def count_workers(count: WorkerCount) -> int:
    """How many programs can run at once. Raises ``InconclusiveError`` where no worker is to be seen."""
    found = count().total
    if not found:
        raise InconclusiveError(
            "how many workers there are is unknown: no process of Resque's is on their nodes"
        )
    return found


def wait_for_workers(count: WorkerCount, wanted: int) -> None:
    """Wait until exactly ``wanted`` are there: no worker less, and none of one that left."""

    def probe() -> None:
        found = count().total
        if found != wanted:
            raise NotYet(f"there are {found} workers, not {wanted}")

    wait_for("workers to be registered", probe, deadline=REGISTERED_SECONDS, max_pause=0.5)


def spread(
    access: Access, client: httpx.Client, door: FrontDoor, workers: Mapping[str, str], number: int
) -> Mapping[str, int]:
    """Submit ``number`` programs at once; returns how many ran in each of ``workers``, by container.

    ``workers`` are the droplets by their containers' ids. Raises ``CheckFailedError`` where a program did not
    end Accepted with its own output, or some worker ran none.
    """
    nap = f"{NAP}.0{secrets.randbelow(10**8):08d}"
    with Pool(number) as pool:
        texts = [f"{nap}-{each}" for each in range(number)]
        answers = [pool.submit(_run, client, door, nap, text) for text in texts]
        try:
            see = partial(count_running, access, sorted(set(workers.values())), nap)
            counts = watch(see, workers, over=lambda: all(each.done() for each in answers))
        finally:
            require_accepted(
                [each.result() for each in answers], texts
            )  # why a program failed says more than where
    return counts


def watch(
    count_running: Callable[[], Mapping[str, int]], workers: Mapping[str, str], over: Callable[[], bool]
) -> Mapping[str, int]:
    """Count until each of ``workers`` was found running something; the most that each ran at once.

    Raises ``CheckFailedError`` with those that were not, by when all is ``over``.
    """
    most: dict[str, int] = {}

    def probe() -> Mapping[str, int]:
        last = over()
        for container, count in count_running().items():
            most[container] = max(count, most.get(container, 0))
        idle = [f"{node} ({container[:12]})" for container, node in workers.items() if container not in most]
        if idle and last:
            raise CheckFailedError(f"no program ran in {', '.join(idle)}")
        if idle:
            raise NotYet(f"no program ran in {', '.join(idle)}")
        return most

    try:
        return wait_for("every worker to run a program", probe, deadline=SEEN_SECONDS, max_pause=0.2)
    except WaitTimeoutError as error:
        raise CheckFailedError(str(error)) from error


def count_running(access: Access, nodes: Sequence[str], nap: str) -> Mapping[str, int]:
    """How many programs that sleep for ``nap`` run now in each container of ``nodes``, by container."""
    script = GROUPS.format(nap=re.escape(nap).replace("\\.", "[.]"))
    outputs = in_parallel([partial(access.run, node, script) for node in nodes])
    found: dict[str, int] = {}
    for container in (word for text in outputs for word in text.split()):
        found[container] = found.get(container, 0) + 1
    return found


def require_accepted(answers: Sequence[Answer], texts: Sequence[str]) -> None:
    """Raise ``CheckFailedError`` unless every program was Accepted and printed its text."""
    wrong = [
        f"{answer.status}: {answer.reply}"
        for answer, text in zip(answers, texts, strict=True)
        if answer.status != ACCEPTED_TEXT or answer.stdout.strip() != text
    ]
    if wrong:
        raise CheckFailedError(f"{len(wrong)} of {len(texts)} programs did not run correctly; {wrong[0]}")


def _run(client: httpx.Client, door: FrontDoor, nap: str, text: str) -> Answer:
    language = frontdoor.main_language(door)
    return frontdoor.submit(client, door, language, sleeping(language, nap, text))

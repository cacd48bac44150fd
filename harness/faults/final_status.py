"""How submissions ended: Judge0 is polled until each is final, and once more; and the verdict on all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import httpx

from harness.core.errors import CheckError, CheckFailedError, InconclusiveError, WavetankError
from harness.core.wait import NotYet, wait_for
from harness.faults.history import Entry, Journal, Judgement, met_full_queue
from harness.judge0.api import is_final
from harness.judge0.client import Judge0, batches

ALL_FINAL_SECONDS = 60.0

OpenJudge0 = Callable[[], AbstractContextManager[httpx.Client]]


def read_twice(journal: Journal, open_judge0: OpenJudge0) -> None:
    """Ask Judge0 about every token until all are final or the deadline has passed, and then once more.

    ``open_judge0`` opens a connection to Judge0's own API. The answers are added to the ``journal``.
    """
    ops = {each.token: each.op for each in journal.entries() if each.token}
    if not ops:
        return

    def probe() -> None:
        waiting = read_statuses(journal, open_judge0, ops)
        if waiting:
            raise NotYet(f"{len(waiting)} of {len(ops)} are not final: {', '.join(waiting[:5])}")

    tolerate = (CheckError, WavetankError, httpx.HTTPError)
    with suppress(WavetankError):  # one that is not final is judged by its last status
        wait_for("submissions to be final", probe, deadline=ALL_FINAL_SECONDS, max_pause=2, tolerate=tolerate)
    read_statuses(journal, open_judge0, ops)


def read_statuses(journal: Journal, open_judge0: OpenJudge0, ops: Mapping[str, int]) -> list[str]:
    """Record Judge0's status of each token in ``ops``; returns those that it knows and that are not final."""
    waiting = []
    with open_judge0() as client:
        for some in batches(list(ops)):
            asked = time.time()
            for token, submission in zip(some, Judge0(client).fetch(some), strict=True):
                entry = Entry("seen", asked, ops[token], token=token)
                if submission is not None:
                    final = is_final(submission.status)
                    waiting += [] if final else [token]
                    entry = Entry(
                        "seen", asked, ops[token], token=token, status=submission.description, final=final,
                        output=submission.stdout, finished_at=submission.finished_at,
                    )  # fmt: skip
                journal.add(entry)
    return waiting


def require_none_lost(found: Judgement, file: Path) -> None:
    """Raise ``CheckFailedError`` for lost or duplicated ones, ``InconclusiveError`` for unknown ones.

    ``file`` is the history's, for the message.
    """
    for wrong in ("lost", "duplicated"):
        if found.of(wrong):
            raise CheckFailedError(f"{found.describe(wrong)}; {found}; {file}")
    if not found.classes:
        raise InconclusiveError(f"no submission was accepted, which shows nothing; {found}; {file}")
    if found.of("unknown") or not found.of("ok"):
        raise InconclusiveError(f"{found.describe('unknown')}; {found}; {file}")


def require_room(ended: Iterable[Entry]) -> None:
    """Raise ``InconclusiveError`` where some were refused because Judge0's queue was full."""
    every = list(ended)
    if full := met_full_queue(every):
        raise InconclusiveError(
            f"{len(full)} of {len(every)} submissions met a full queue, so more were submitted than this "
            f"deployment takes: {full[0].code} {full[0].said[:200].strip()}"
        )

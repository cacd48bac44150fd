"""How submissions ended: Judge0 is asked until each is final, and once more; and the verdict on all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import httpx

from harness.core.errors import CheckError, CheckFailedError, InconclusiveError, WavetankError
from harness.core.wait import NotYet, wait_for
from harness.faults.history import Entry, Journal, Judgement
from harness.judge0.api import is_final
from harness.judge0.client import Judge0, batches

ALL_FINAL_SECONDS = 60.0

Way = Callable[[], AbstractContextManager[httpx.Client]]


def look_twice(journal: Journal, way: Way) -> None:
    """Ask Judge0 about every token until all are final or the deadline has passed, and then once more.

    ``way`` opens a connection to Judge0's own API. What is seen is added to the ``journal``.
    """
    ops = {each.token: each.op for each in journal.entries() if each.token}

    def probe() -> None:
        waiting = look(journal, way, ops)
        if waiting:
            raise NotYet(f"{len(waiting)} of {len(ops)} are not final: {', '.join(waiting[:5])}")

    tolerate = (CheckError, WavetankError, httpx.HTTPError)
    with suppress(WavetankError):  # what is not final is judged by its last look
        wait_for("submissions to be final", probe, deadline=ALL_FINAL_SECONDS, max_pause=2, tolerate=tolerate)
    look(journal, way, ops)


def look(journal: Journal, way: Way, ops: Mapping[str, int]) -> list[str]:
    """Note what Judge0 says of each token in ``ops``; returns those that it knows and that are not final."""
    waiting = []
    with way() as client:
        for some in batches(list(ops)):
            asked = time.time()
            for token, told in zip(some, Judge0(client).look(some), strict=True):
                seen = Entry("seen", asked, ops[token], token=token)
                if told is not None:
                    final = is_final(told.status)
                    waiting += [] if final else [token]
                    seen = Entry(
                        "seen", asked, ops[token], token=token, status=told.description, final=final,
                        output=told.stdout, finished_at=told.finished_at,
                    )  # fmt: skip
                journal.add(seen)
    return waiting


def insist(found: Judgement, file: Path) -> None:
    """Raise ``CheckFailedError`` for lost or duplicated ones, ``InconclusiveError`` for unknown ones.

    ``file`` is where the history is, for whoever wants to look it up.
    """
    for wrong in ("lost", "duplicated"):
        if found.of(wrong):
            raise CheckFailedError(f"{found.told(wrong)}; {found}; {file}")
    if found.of("unknown") or not found.of("ok"):
        raise InconclusiveError(f"{found.told('unknown')}; {found}; {file}")

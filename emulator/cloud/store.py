"""Where the control plane keeps its records: one SQLite file, or memory.

Records are frozen pydantic models, kept as JSON. The journal is a write-ahead log with ``synchronous =
NORMAL``: what was committed is in the kernel before the answer leaves, so a kill -9 of the server loses
nothing. Work that must follow a commit is registered with :meth:`Store.after_commit`.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict

log = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, key)
);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


class Record(BaseModel):
    """One stored thing. ``kind`` names its table, ``key`` is unique within it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str]

    @property
    def key(self) -> str:
        """The record's identity as text."""
        raise AttributeError(f"{type(self).__name__} has no key")


R = TypeVar("R", bound=Record)


class StoreClosedError(Exception):
    """The server ends: a thread that outlives it is too late, and what it did is done again by the next."""


class Store:
    """Records by kind and key, in the order they were made. Safe to use from any thread."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._after: list[Callable[[], None]] = []
        self._closed = False
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(SCHEMA)
        self.version = 0

    def close(self) -> None:
        """Let go of the file; every later use raises ``StoreClosedError``."""
        with self._lock:
            self._closed = True
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, one at a time; joins the one already open in this thread.

        Registered work runs once the outermost transaction has committed, outside the lock.
        """
        with self._lock:
            outermost = self._depth == 0
            if outermost:
                self._execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                if outermost:
                    self._db.execute("ROLLBACK")
                    self._after.clear()
                raise
            finally:
                self._depth -= 1
            if not outermost:
                return
            self._db.execute("COMMIT")
            self.version += 1
            work, self._after = self._after, []
        for function in work:
            _follow_up(function)

    def after_commit(self, function: Callable[[], None]) -> None:
        """Run ``function`` once the open transaction has committed; not at all if it does not."""
        self._after.append(function)

    def get(self, cls: type[R], key: str | int) -> R | None:
        """The record of that key, None if there is none."""
        with self._lock:
            row = self._execute(
                "SELECT body FROM record WHERE kind = ? AND key = ?", (cls.kind, str(key))
            ).fetchone()
        return cls.model_validate_json(row[0]) if row else None

    def all(self, cls: type[R]) -> list[R]:
        """Every record of the kind, oldest first."""
        with self._lock:
            rows = self._execute(
                "SELECT body FROM record WHERE kind = ? ORDER BY seq", (cls.kind,)
            ).fetchall()
        return [cls.model_validate_json(row[0]) for row in rows]

    def put(self, record: R) -> R:
        """Add or replace a record; returns it."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO record (kind, key, body) VALUES (?, ?, ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                (record.kind, record.key, record.model_dump_json()),
            )
        return record

    def delete(self, record: Record) -> None:
        """Remove a record; nothing happens if it is gone."""
        with self.transaction():
            self._db.execute("DELETE FROM record WHERE kind = ? AND key = ?", (record.kind, record.key))

    def next_number(self, name: str, first: int) -> int:
        """The next number of a series, never given twice; the series starts at ``first``."""
        with self.transaction():
            row = self._db.execute(
                "INSERT INTO counter (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
                (name, first),
            ).fetchone()
        return int(row[0])

    def _execute(self, statement: str, values: tuple[str, ...] = ()) -> sqlite3.Cursor:
        if self._closed:
            raise StoreClosedError
        return self._db.execute(statement, values)


def _follow_up(function: Callable[[], None]) -> None:
    try:
        function()
    except Exception:  # what was committed stands, so its caller must not be told otherwise
        log.exception("work after a commit failed")

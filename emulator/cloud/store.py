"""Where the control plane keeps its records: one SQLite file, or memory.

The file must be whole and ours: one that is not is refused, and left as it is. While it is open it must stay
the file of its name, or what is written is lost: every transaction checks that, before it commits.

Records are frozen pydantic models, kept as JSON. The journal is a write-ahead log with ``synchronous =
NORMAL``: what was committed is in the kernel before the answer leaves, so a kill -9 of the server loses
nothing. Work that must follow a commit is registered with :meth:`Store.after_commit`.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

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
VERSION = 1
RESCUED = ".rescued"
REMEDY = (
    "put a good copy in its place, or remove what it knew of with "
    "`wavetank emulator stop --destroy` and start anew"
)


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


class StoreError(Exception):
    """The records cannot be read or written; the text says which file, why, and what to do."""


class Store:
    """Records by kind and key, in the order they were made. Safe to use from any thread.

    Everything raises ``StoreError`` for a file that cannot be used.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._after: list[Callable[[], None]] = []
        self._closed = False
        self._path = path
        self._lost = ""
        self.version = 0
        with self._translating_errors():
            self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        try:
            with self._translating_errors():
                self._open()
        except StoreError:
            self._db.close()
            raise
        self._files = self._identities()

    def _open(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError(
                f"{self._path} was written by a newer Wavetank (version {version} of its records; this one "
                f"knows {VERSION}): use that one, or destroy the emulator with it"
            )
        (found,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise StoreError(f"{self._path} is damaged ({' '.join(str(found).split())}): {REMEDY}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(SCHEMA)
        if version < VERSION:
            self._db.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Let go of the file; every later use raises ``StoreClosedError``."""
        with self._lock:
            self._closed = True
            if (
                not self._lost
            ):  # closing would remove the journal beside the name, which may be another's by now
                self._db.close()

    def check(self) -> None:
        """Read every record once, so that one that nobody can read is found before anything is done."""
        kinds = {cls.kind: cls for cls in Record.__subclasses__()}
        with self._lock:
            known = [kind for (kind,) in self._execute("SELECT DISTINCT kind FROM record")]
        for kind in known:
            if kind not in kinds:
                raise StoreError(f"{self._path} has records of a kind that is not known, {kind!r}: {REMEDY}")
            self.all(kinds[kind])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, one at a time; joins the one already open in this thread.

        Registered work runs once the outermost transaction has committed, outside the lock.
        """
        with self._lock:
            outermost = self._depth == 0
            if outermost:
                self._require_files()
                self._execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                if outermost:
                    self._roll_back()
                raise
            finally:
                self._depth -= 1
            if not outermost:
                return
            self._commit()
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
        return self._read(cls, row[0]) if row else None

    def all(self, cls: type[R]) -> list[R]:
        """Every record of the kind, oldest first."""
        with self._lock:
            rows = self._execute(
                "SELECT body FROM record WHERE kind = ? ORDER BY seq", (cls.kind,)
            ).fetchall()
        return [self._read(cls, row[0]) for row in rows]

    def put(self, record: R) -> R:
        """Add or replace a record; returns it."""
        with self.transaction():
            self._execute(
                "INSERT INTO record (kind, key, body) VALUES (?, ?, ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                (record.kind, record.key, record.model_dump_json()),
            )
        return record

    def delete(self, record: Record) -> None:
        """Remove a record; nothing happens if it is gone."""
        with self.transaction():
            self._execute("DELETE FROM record WHERE kind = ? AND key = ?", (record.kind, record.key))

    def next_number(self, name: str, first: int) -> int:
        """The next number of a series, never given twice; the series starts at ``first``."""
        with self.transaction():
            row = self._execute(
                "INSERT INTO counter (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
                (name, first),
            ).fetchone()
        return int(row[0])

    def _execute(self, statement: str, values: tuple[str | int, ...] = ()) -> sqlite3.Cursor:
        if self._closed:
            raise StoreClosedError
        with self._translating_errors():
            return self._db.execute(statement, values)

    def _read(self, cls: type[R], body: str) -> R:
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise StoreError(f"{self._path} has a {cls.kind} that cannot be read: {REMEDY}") from error

    def _commit(self) -> None:
        try:
            self._require_files()
            self._execute("COMMIT")
        except StoreError:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # SQLite has done it already where a full disk was the reason
            self._db.execute("ROLLBACK")
        self._after.clear()

    def _require_files(self) -> None:
        """Raise ``StoreError`` once the open files are no longer those of their names, and from then on."""
        if self._closed:
            raise StoreClosedError
        if not self._lost and self._identities() != self._files:
            self._roll_back()  # a copy could not be made of what is half written
            self._lost = f"{self._path} was deleted or replaced while the emulator ran. {self._rescue()}"
            log.error("%s", self._lost)
        if self._lost:
            raise StoreError(self._lost)

    def _rescue(self) -> str:
        """Write what the open file still holds beside its name; returns what to do."""
        copy = Path(f"{self._path}{RESCUED}")
        try:
            os.close(os.open(copy, os.O_WRONLY | os.O_CREAT, 0o600))
            with closing(sqlite3.connect(copy)) as target:
                self._db.backup(target)
        except (sqlite3.Error, OSError) as error:
            return f"Nothing is accepted any more, and its records could not be saved ({error})."
        return (
            f"Nothing is accepted any more: stop the emulator, rename {copy} to {self._path}, start it again."
        )

    def _identities(self) -> list[tuple[int, int] | None]:
        """Which files the name and its journal are now."""
        if self._path is None:
            return []
        return [_identity(self._path), _identity(Path(f"{self._path}-wal"))]

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        try:
            yield
        except sqlite3.Error as error:
            text = str(error)
            if "locked" in text:
                problem = "is locked by another process: end that one (`fuser` names it), and try again"
            elif "full" in text:
                problem = "cannot be written, the disk is full: make room, and try again"
            elif type(error) is sqlite3.DatabaseError:
                problem = f"is damaged ({text}): {REMEDY}"
            else:
                problem = f"cannot be used ({text}): see that it can be read and written, or {REMEDY}"
            raise StoreError(f"{self._path or 'memory'} {problem}") from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _follow_up(function: Callable[[], None]) -> None:
    try:
        function()
    except Exception:  # what was committed stands, so its caller must not get an error
        log.exception("work after a commit failed")

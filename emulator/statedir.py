"""The emulator's state directory: who holds it, and what is in it.

Imports nothing heavy, so that a program can take hold of the directory before it loads the rest.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import EngineError

LOCK, DATABASE, LOG, PLANE = "lock", "state.db", "log", "plane"


@contextmanager
def hold(state: Path) -> Iterator[None]:
    """Be the only server of a state directory. Raises ``EngineError`` that names the one that is."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise EngineError(f"{state} is served already, by process {holder}") from error
        with suppress(OSError):  # it only names us; a full disk must not keep anybody from destroying
            file.truncate(0)
            os.write(file.fileno(), str(os.getpid()).encode())
        yield


def plane_of(state: Path, wanted: str | None) -> str:
    """The plane of a state directory, settled when it is first served. Raises ``EngineError``."""
    file = state / PLANE
    known = file.read_text().strip() if file.exists() else None
    if wanted and known and wanted != known:
        raise EngineError(f"{state} is of the {known} plane; destroy it before using {wanted}")
    return known or wanted or "docker"


def instance(state: Path) -> str:
    """The short name of the emulator whose state directory this is; its machines are labelled with it."""
    return hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:8]


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, all at once."""
    new = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.replace(path)

"""Files that are made once and cached: named by a hash of their inputs, complete or not there at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.core import paths
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for

KEEP_SECONDS = 3 * 24 * 3600
LOCK_SECONDS = 1800.0


def cache_dir() -> Path:
    """The cache's directory: some gigabytes, any of which may be deleted."""
    return paths.cache_dir() / "vm"


def key(*parts: str | bytes) -> str:
    """Twelve hexadecimal digits that change with any of ``parts``."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(data)}\0".encode() + data)
    return digest.hexdigest()[:12]


def cached(name: str, identity: str, make: Callable[[Path], None], progress: Progress) -> Path:
    """The path of ``NAME-IDENTITY``, a file or directory, which ``make`` fills if it is not there.

    ``make`` gets a path that does not exist. Others of the same name that nobody used for three days go.
    """
    directory = cache_dir()
    path = directory / f"{name}-{identity}"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _only_one(directory / f".{name}.lock"):
        if not path.exists():
            fresh = directory / f".{name}-new"
            remove(fresh)
            with progress.step(f"vm: make {name}"):
                make(fresh)
            fresh.replace(path)
        os.utime(path)
        _prune(directory, name, path)
    return path


def remove(path: Path) -> None:
    """Delete a file or a whole directory, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _prune(directory: Path, name: str, kept: Path) -> None:
    limit = time.time() - KEEP_SECONDS
    for each in directory.glob(f"{name}-" + "[0-9a-f]" * 12):
        if each != kept and each.stat().st_mtime < limit:
            remove(each)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    def lock() -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NotYet(f"{path} is held by another process") from error

    with path.open("w") as file:
        wait_for(f"the lock on {path.stem.lstrip('.')}", lock, deadline=LOCK_SECONDS)
        yield

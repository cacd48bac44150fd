"""A directory in which Compose sees an application as a node will: the user's files, and rendered ones.

The directories from the application's root to the compose file are real ones, with symbolic links to all
else that the user has in them; rendered files are written in their places. The user's own stays as it is.
"""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.core.errors import TopologyError

# A path that leaves the application still leads to a place of its own in here.
DEPTH = "1/2/3/4/5/6/7/8"
ROOT = "app"


@dataclass(frozen=True)
class Shadow:
    """``top`` is ours alone, ``root`` in it stands for the application's, ``directory`` for the file's."""

    top: Path
    root: Path
    directory: Path


@contextmanager
def shadow(root: Path, directory: Path, files: Mapping[str, str]) -> Iterator[Shadow]:
    """``root`` is the application's directory, ``directory`` the compose file's, in it or the same.

    ``files`` are written relative to ``directory``, in place of the user's.
    """
    with tempfile.TemporaryDirectory(prefix="wavetank-compose-") as made:
        top = Path(made).resolve()
        inner = top / DEPTH / ROOT
        inner.mkdir(parents=True)
        _mirror(root, inner)
        relative = PurePosixPath(directory.relative_to(root).as_posix())
        _open(root, inner, relative)
        for name, text in files.items():
            path = relative / posixpath.normpath(name)
            _open(root, inner, path.parent)
            target = inner / path
            if target.is_symlink():
                target.unlink()
            target.write_bytes(text.encode())
        yield Shadow(top, inner, inner / relative)


def _open(root: Path, inner: Path, relative: PurePosixPath) -> None:
    """Make real directories of all on the way to ``relative``."""
    done = PurePosixPath()
    for part in relative.parts:
        done /= part
        if not (inner / done).is_symlink() and (inner / done).is_dir():
            continue
        (inner / done).unlink(missing_ok=True)
        (inner / done).mkdir()
        _mirror(root / done, inner / done)


def _mirror(source: Path, target: Path) -> None:
    try:
        entries = list(source.iterdir()) if source.is_dir() else []
    except OSError as error:
        problem, remedy = f"cannot be read: {error.strerror}", "give a directory that you may list"
        raise TopologyError(problem, file=source, remedy=remedy) from error
    for each in entries:
        (target / each.name).symlink_to(each.absolute())

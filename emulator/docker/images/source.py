"""An image's source: its files, the hash that names what they make, and the archive a build is fed."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

IMAGES = Path(__file__).parents[2] / "images"


def files(directory: Path) -> Iterator[tuple[str, Path]]:
    """Every file of an image's source with its path inside it, in a stable order."""
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(directory).as_posix(), path


def content_hash(directory: Path, *also: str) -> str:
    """Name what ``directory`` builds, in 12 hex digits: names, modes and contents of files, and ``also``."""
    digest = hashlib.sha256()
    for name, path in files(directory):
        content = path.read_bytes()
        digest.update(f"{name}\0{_mode(path):o}\0{len(content)}\0".encode() + content)
    for text in also:
        digest.update(f"\0{text}".encode())
    return digest.hexdigest()[:12]


def context(directory: Path, extra: Mapping[str, Path] | None = None) -> IO[bytes]:
    """Pack a build context: the directory's files and ``extra`` (path inside -> file), owned by root."""
    packed = tempfile.TemporaryFile()  # noqa: SIM115 (the caller reads it; closed when dropped)
    with tarfile.open(fileobj=packed, mode="w") as archive:
        _add(archive, files(directory))
        _add(archive, (extra or {}).items())
    packed.seek(0)
    return packed


def _add(archive: tarfile.TarFile, entries: Iterable[tuple[str, Path]]) -> None:
    for name, path in entries:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = path.stat().st_size, _mode(path)
        with path.open("rb") as content:
            archive.addfile(entry, content)


def _mode(path: Path) -> int:
    """Keep the executable bit only, so that the user's umask makes no difference."""
    return 0o755 if path.stat().st_mode & 0o100 else 0o644

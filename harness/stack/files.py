"""Files that a compose file names: the topology's own where it renders them, else those beside the compose file."""

from __future__ import annotations

import posixpath

from harness.stack.job import Job


def read_file(job: Job, path: str) -> bytes | None:
    """The content of a file, by its path as the compose file writes it; None where there is no such file."""
    rendered = job.source.files.get(posixpath.normpath(path))
    if rendered is not None:
        return rendered.encode()
    file = job.directory / path
    return file.read_bytes() if file.is_file() else None


def file_mode(job: Job, path: str) -> int:
    """Who may read and execute a file, as it is on this machine; all may read it."""
    file = job.directory / path
    rendered = posixpath.normpath(path) in job.source.files
    if rendered or not file.is_file():
        return 0o444
    return 0o444 | (file.stat().st_mode & 0o111)

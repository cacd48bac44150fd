"""Files that a compose file names: those that the topology renders, else those beside the compose file."""

from __future__ import annotations

import posixpath

from harness.core.documents import read_bytes
from harness.stack import taint
from harness.stack.service import Job
from harness.topology.rendering import dotenv

ENV = ".env"


def read_file(job: Job, path: str) -> bytes | None:
    """The content of a file, by its path as the compose file writes it; None where there is no such file."""
    name = posixpath.normpath(path)
    if name == ENV:
        return _environment(job)
    if name in job.source.files:
        return job.source.files[name].encode()
    file = job.directory / path
    return read_bytes(file) if file.is_file() else None


def file_mode(job: Job, path: str) -> int:
    """Who may read and execute a file, as it is on this machine; all may read it."""
    file = job.directory / path
    rendered = posixpath.normpath(path) in job.source.files
    if rendered or not file.is_file():
        return 0o444
    return 0o444 | (file.stat().st_mode & 0o111)


def _environment(job: Job) -> bytes:
    """``.env`` as the topology makes it."""
    known = {name: taint.bare(value) for name, value in job.file.environment.items()}
    try:
        return dotenv.merge("", known).encode()
    except ValueError as error:
        problem = f"a variable of {ENV} cannot be written: {error}"
        raise job.error("volumes", problem, "take it out, or do not mount the file") from error

"""Files that a compose file names: those that the topology renders, else those beside the compose file."""

from __future__ import annotations

import posixpath

from harness.core.documents import read_bytes
from harness.stack import taint
from harness.stack.service import ServiceContext
from harness.topology.rendering import dotenv

ENV = ".env"


def read_file(context: ServiceContext, path: str) -> bytes | None:
    """The content of a file, by its path as the compose file writes it; None where there is no such file."""
    name = posixpath.normpath(path)
    if name == ENV:
        return _environment(context)
    if name in context.source.beside:
        return context.source.beside[name].encode()
    file = context.directory / name
    return read_bytes(file) if file.is_file() else None


def file_mode(context: ServiceContext, path: str) -> int:
    """A file's mode: everybody may read it, and execute it if it is executable on this machine."""
    file = context.directory / path
    rendered = posixpath.normpath(path) in context.source.beside
    if rendered or not file.is_file():
        return 0o444
    return 0o444 | (file.stat().st_mode & 0o111)


def _environment(context: ServiceContext) -> bytes:
    """``.env`` as the topology makes it."""
    known = {name: taint.untainted(value) for name, value in context.file.environment.items()}
    try:
        return dotenv.merge("", known).encode()
    except ValueError as error:
        problem = f"a variable of {ENV} cannot be written: {error}"
        raise context.error("volumes", problem, "take it out, or do not mount the file") from error

"""The emulator's state directory: who holds it, and what is in it.

Imports nothing heavy, so that a program can take hold of the directory before it loads the rest.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.core.errors import EngineError
from harness.core.names import DROPLET_SYSTEMS

LOCK, DATABASE, LOG, PLANE, PORTS = "lock", "state.db", "log", "plane", "ports.json"
SYSTEM = "droplets"
PLANES = ("docker", "memory")
MOST_PORT = 65535


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
    known = _settled(state / PLANE, PLANES, "is not a plane")
    if wanted and known and wanted != known:
        raise EngineError(f"{state} is of the {known} plane; destroy it before using {wanted}")
    return known or wanted or "docker"


def system_of(state: Path, wanted: str | None) -> str:
    """What the droplets of a state directory are, settled when it is first served. Raises ``EngineError``."""
    known = _settled(state / SYSTEM, DROPLET_SYSTEMS, "is nothing that a droplet may be")
    if known is None and (state / DATABASE).exists():  # as before there was a choice
        known = DROPLET_SYSTEMS[0]
    if wanted and known and wanted != known:
        raise EngineError(f"the droplets of {state} are {known}; destroy it before using {wanted}")
    return known or wanted or DROPLET_SYSTEMS[0]


def _settled(file: Path, names: Sequence[str], problem: str) -> str | None:
    """What a file of one word says, one of ``names``; None without it. Raises ``EngineError``."""
    if not file.exists():
        return None
    known = read(file, f"remove it, and say which one with --{file.name}").strip()
    if known not in names:
        raise unusable(file, f"{known[:40]!r} {problem}", f"write {' or '.join(names)} into it")
    return known


def ports_of(state: Path) -> tuple[int, int]:
    """The ports of the server before, https and http; zeros if there was none. Raises ``EngineError``."""
    file, remedy = state / PORTS, "remove it: free ports are then taken, and endpoint.json tells which"
    if not file.exists():
        return (0, 0)
    try:
        ports = json.loads(read(file, remedy))
    except (ValueError, RecursionError) as error:
        raise unusable(file, f"it is not JSON ({error})", remedy) from error
    good = isinstance(ports, list) and len(ports) == len(set(map(str, ports))) == 2
    if not good or not all(type(port) is int and 0 < port <= MOST_PORT for port in ports):
        problem = f"{str(ports)[:40]} is not a list of two different ports from 1 to {MOST_PORT}"
        raise unusable(file, problem, remedy)
    return ports[0], ports[1]


def read(file: Path, remedy: str) -> str:
    """A file's text. Raises ``EngineError``."""
    try:
        return file.read_text()
    except (OSError, ValueError) as error:
        raise unusable(file, f"it cannot be read ({error})", remedy) from error


def unusable(file: Path, problem: str, remedy: str) -> EngineError:
    """The error for a file of the state directory that nobody can use, in one sentence."""
    return EngineError(f"{file} is not usable: {problem}; {remedy}")


def instance(state: Path) -> str:
    """The short name of the emulator whose state directory this is; its machines are labelled with it."""
    return hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:8]


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, all at once."""
    new = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.replace(path)

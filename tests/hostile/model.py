"""What a hostile program is: its source, and what becomes of it where it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BASH, C, CPP, EXECUTABLE, JAVASCRIPT, PYTHON, TEXT, MULTI_FILE = 46, 50, 54, 44, 63, 71, 43, 89

ACCEPTED, WRONG_ANSWER, TIME_LIMIT, COMPILATION_ERROR = 3, 4, 5, 6
FILE_SIZE, NONZERO, OTHER, INTERNAL_ERROR, NOT_EXECUTABLE = 8, 11, 12, 13, 14


@dataclass(frozen=True)
class Attack:
    """One submission. ``what`` says what it goes for, ``status`` how it must end.

    ``stdout`` is what it must have printed by then, where that is one text; ``lacks`` what none of its outputs
    may hold. ``archive`` are its additional files, ``body`` further attributes of it. ``machine`` names the only
    architecture that it is for.
    """

    name: str
    what: str
    language: int
    source: str
    status: int
    stdout: str | None = None
    lacks: tuple[bytes, ...] = ()
    archive: bytes = b""
    body: Mapping[str, object] = field(default_factory=dict)
    machine: str = ""


# For programs in Python: system calls by number, and what became of them.
CALLS = """
import ctypes, errno, os, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)

def named(number):
    return errno.errorcode.get(number, str(number))

def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    return named(ctypes.get_errno()) if result < 0 else "done"

def attempt(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return named(error.errno)
    return "done"

def tell(**told):
    for name, became in told.items():
        print(name, became)
"""


def python(source: str) -> str:
    """A program with ``call`` and ``attempt`` at hand."""
    return CALLS + source

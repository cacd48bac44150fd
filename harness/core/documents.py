"""Reads untrusted files: their size, nesting and number of elements are limited before they cost much.

All files of the user are read here, and our own files that others may have changed. Whatever the file is (a
directory, a named pipe, a device, a decompression bomb, text in another encoding), reading it ends at once,
with its content or with a ``TopologyError`` that names the file, the problem and the remedy. Only regular
files are read: opening a pipe waits for a writer, and a device may have no end.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.core.errors import TopologyError

MIB = 1024 * 1024
LARGEST_TEXT = 1 * MIB
LARGEST_JSON = 64 * MIB
MOST_PARTS = 5_000_000  # of JSON, which a parser written in C reads
DEEPEST = 64
BYTE_ORDER_MARK = "\ufeff"
READABLE = "give the path of a readable file"
SURROGATE = re.compile("[\ud800-\udfff]")
KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_bytes(file: Path, *, largest: int = LARGEST_TEXT, remedy: str = READABLE) -> bytes:
    """The content of a regular file. Raises ``TopologyError``."""
    try:
        _require_regular(file.stat().st_mode, file, remedy)
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as stream:
            _require_regular(os.fstat(descriptor).st_mode, file, remedy)
            content = stream.read(largest + 1)
    except OSError as error:
        raise TopologyError(f"cannot be read: {error.strerror}", file=file, remedy=remedy) from error
    except ValueError as error:  # a NUL in the path
        raise TopologyError(f"is not a path: {error}", file=repr(str(file)), remedy=remedy) from error
    if len(content) > largest:
        problem = f"larger than {largest // MIB} MiB, the most that is read of such a file"
        raise TopologyError(problem, file=file, remedy=remedy)
    return content


def read_text(file: Path, *, largest: int = LARGEST_TEXT, remedy: str = READABLE) -> str:
    """The text of a UTF-8 file, byte order mark and line ends as they are. Raises ``TopologyError``."""
    content = read_bytes(file, largest=largest, remedy=remedy)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"not UTF-8 text: {error}"
        raise TopologyError(problem, file=file, line=line, remedy="save the file as UTF-8") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        remedy = "remove the NUL; UTF-16 has them, so save the file as UTF-8"
        raise TopologyError("not text: it contains a NUL", file=file, line=line, remedy=remedy)
    return text


def read_object(file: Path, kind: str, *, remedy: str = READABLE) -> dict[str, Any]:
    """The JSON object in a file; ``kind`` names it in errors. Raises ``TopologyError``."""
    text = read_text(file, largest=LARGEST_JSON, remedy=remedy).removeprefix(BYTE_ORDER_MARK)

    def refused(problem: str, line: int | None = None) -> TopologyError:
        return TopologyError(f"is not {kind}: {problem}", file=file, line=line, remedy=remedy)

    if sum(map(text.count, "[{,")) > MOST_PARTS:
        raise refused(f"it has more than {MOST_PARTS} parts")
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
        if "\\u" in text:
            json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise refused(f"{error.msg} at column {error.colno}", error.lineno) from error
    except UnicodeEncodeError as error:
        raise refused("it contains half of a surrogate pair, which is not a character") from error
    except ValueError as error:
        raise refused(str(error)) from error
    except RecursionError as error:
        raise refused(f"it is nested more than {DEEPEST} deep") from error
    if not isinstance(document, dict):
        raise refused("it is not a JSON object")
    if _is_deeper(document, DEEPEST):
        raise refused(f"it is nested more than {DEEPEST} deep")
    return document


def _require_regular(mode: int, file: Path, remedy: str) -> None:
    if not stat.S_ISREG(mode):
        what = next((name for is_one, name in KINDS if is_one(mode)), "not a file")
        raise TopologyError(f"cannot be read: it is {what}, not a regular file", file=file, remedy=remedy)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return found


def _is_deeper(document: Any, deepest: int) -> bool:
    level: list[Any] = [document]
    for _ in range(deepest):
        level = list(_inside(level))
        if not level:
            return False
    return True


def _inside(level: Iterable[Any]) -> Iterator[Any]:
    """The collections in these collections."""
    for each in level:
        for value in each.values() if isinstance(each, dict) else each:
            if isinstance(value, dict | list):
                yield value

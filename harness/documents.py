"""Reads files that we did not write: their size, nesting and number of parts are bounded before they cost.

Every file of the user's comes through here, and so do files of ours that anybody may have changed. Whatever
it is (a directory, a named pipe, a device, a bomb, text in another encoding), reading it ends at once, with
what it holds or with one ``TopologyError`` that names the file, what is wrong and what would be right. Only
regular files are read: opening a pipe waits for somebody to write, and a device need not end.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import TopologyError

if TYPE_CHECKING:
    from ruamel.yaml.events import Event

MIB = 1024 * 1024
LARGEST_TEXT = 1 * MIB
LARGEST_JSON = 64 * MIB
# Of YAML, aliases written out: what is read walks through all of it, and some of it several times.
MOST_NODES = 20_000
MOST_PARTS = 5_000_000  # of JSON, which a parser written in C reads
DEEPEST = 64
LONGEST_NUMBER = 1000
BYTE_ORDER_MARK = "\ufeff"
READABLE = "give the path of a readable file"
SURROGATE = re.compile("[\ud800-\udfff]")
NUMBER = re.compile(r"[-+]?[0-9.][-+0-9a-fA-FoxX_.:]*")
KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

T = TypeVar("T")


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
        raise TopologyError(f"is no path: {error}", file=repr(str(file)), remedy=remedy) from error
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
        remedy = "take the NUL out; UTF-16 has them, so save the file as UTF-8"
        raise TopologyError("no text: it holds a NUL", file=file, line=line, remedy=remedy)
    return text


def read_object(file: Path, kind: str, *, remedy: str = READABLE) -> dict[str, Any]:
    """The JSON object in a file; ``kind`` says in errors what it should be. Raises ``TopologyError``."""
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
        raise refused("it holds half of a surrogate pair, which is no character") from error
    except ValueError as error:
        raise refused(str(error)) from error
    except RecursionError as error:
        raise refused(f"it is nested more than {DEEPEST} deep") from error
    if not isinstance(document, dict):
        raise refused("it is no JSON object")
    if _is_deeper(document, DEEPEST):
        raise refused(f"it is nested more than {DEEPEST} deep")
    return document


def check_yaml(text: str, file: Path | str) -> None:
    """Raise ``TopologyError`` for YAML that would cost too much: too deep, too much, an alias of itself.

    Syntax errors are left to who reads it next. Stops where it finds something, so that it costs little.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(text) > LARGEST_TEXT:
        problem = f"larger than {LARGEST_TEXT // MIB} MiB, the most that is read of such a file"
        raise TopologyError(problem, file=file, remedy="split it, or take out what is not needed")
    try:
        _Measure(file).over(YAML(typ="safe", pure=True).parse(text))
    except (YAMLError, ValueError):
        return


def parsed(read: Callable[[], T], file: Path | str) -> T:
    """What ``read``, which makes data of YAML, returns; what values may do to it becomes a ``TopologyError``.

    YAML's own errors pass. Others come from values that are not what their tag, or look, says: a date of
    month 13, ``!!int`` of no number, ``!!bool`` of no boolean.
    """
    from ruamel.yaml.error import YAMLError

    try:
        return read()
    except YAMLError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        problem = f"not YAML: a value is not what its tag or its look says: {error}"
        remedy = "put the value into quotes, and take its tag out"
        raise TopologyError(problem, file=file, remedy=remedy) from error
    except (RecursionError, MemoryError) as error:
        remedy = "write it with less nesting"
        raise TopologyError("nested too deep", file=file, remedy=remedy) from error


@dataclass
class _Open:
    """A collection under way: how many nodes are in it so far, and how many levels below it."""

    anchor: str | None
    event: Event
    nodes: int = 1
    height: int = 1


@dataclass
class _Measure:
    """Counts a document's nodes and levels as if every alias were written out."""

    file: Path | str
    outer: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[int, int]] = field(default_factory=dict)
    nodes: int = 0

    def over(self, events: Iterable[Event]) -> None:
        from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

        for event in events:
            if isinstance(event, CollectionStartEvent):
                self._add(1, len(self.outer) + 1, event)
                self.outer.append(_Open(event.anchor, event))
            elif isinstance(event, CollectionEndEvent):
                self._close()
            elif isinstance(event, ScalarEvent):
                _check_scalar(event, self)
                self._keep(event.anchor, 1, 0)
                self._count(1, 0, event)
            elif isinstance(event, AliasEvent):
                self._count(*self._meant(event), event)

    def _close(self) -> None:
        done = self.outer.pop()
        self._keep(done.anchor, done.nodes, done.height)
        if self.outer:
            self.outer[-1].nodes += done.nodes
            self.outer[-1].height = max(self.outer[-1].height, done.height + 1)

    def _count(self, nodes: int, height: int, event: Event) -> None:
        """A scalar, or an alias as what it stands for."""
        self._add(nodes, len(self.outer) + height, event)
        if self.outer:
            self.outer[-1].nodes += nodes
            self.outer[-1].height = max(self.outer[-1].height, height + 1)

    def _add(self, nodes: int, depth: int, event: Event) -> None:
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            problem = f"more than {MOST_NODES} keys and values, aliases written out"
            raise self.refused(problem, event, "take out what is not needed, or use fewer aliases")
        if depth > DEEPEST:
            raise self.refused(f"nested more than {DEEPEST} deep", event, "write it with less nesting")

    def _meant(self, event: Any) -> tuple[int, int]:
        around = next((each for each in self.outer if each.anchor == event.anchor), None)
        if around:
            problem = f"*{event.anchor} is inside of &{event.anchor}: what holds or merges itself never ends"
            raise self.refused(problem, around.event, "take the alias out")
        return self.anchors.get(event.anchor, (1, 0))  # an unknown one is told of by who reads it

    def _keep(self, anchor: str | None, nodes: int, height: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = (nodes, height)

    def refused(self, problem: str, event: Event, remedy: str) -> TopologyError:
        return TopologyError(problem, file=self.file, line=event.start_mark.line + 1, remedy=remedy)


def _check_scalar(event: Any, measure: _Measure) -> None:
    """Numbers that take long to read, or cannot be shown; characters that are none."""
    value = event.value
    if len(value) > LONGEST_NUMBER and NUMBER.fullmatch(value):
        problem = f"a number of {len(value)} digits"
        raise measure.refused(problem, event, f"write one of at most {LONGEST_NUMBER}, or put it into text")
    if SURROGATE.search(value):
        problem = "it holds half of a surrogate pair, which is no character"
        raise measure.refused(problem, event, "write the character itself")


def _require_regular(mode: int, file: Path, remedy: str) -> None:
    if not stat.S_ISREG(mode):
        what = next((name for is_one, name in KINDS if is_one(mode)), "no file")
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

"""Reads untrusted YAML: parsed once, limited while it is parsed, with one form of error for all problems.

Nodes (where positions matter) and data are made from the same events, which are cached: the files of one
application are read again and again.
"""

from __future__ import annotations

import copy
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, Event, ScalarEvent
from ruamel.yaml.nodes import Node
from ruamel.yaml.tag import Tag

from harness.core.documents import DEEPEST, LARGEST_TEXT, MIB, SURROGATE
from harness.core.errors import TopologyError

# With aliases expanded: the readers walk through all of it, and some of it several times.
MOST_NODES = 20_000
LONGEST_NUMBER = 1000
NUMBER = re.compile(r"[-+]?[0-9.][-+0-9a-fA-FoxX_.:]*")
MANY = "single document"  # in the parser's message for a text with several documents

T = TypeVar("T")

# Compose's own tags, in a file that is merged into another one: a value clears the other's, or replaces it.
# https://docs.docker.com/reference/compose-file/merge/
RESET, OVERRIDE = "!reset", "!override"
OCTAL = re.compile(r"0[0-7]+")
UNSORTED = "sort_base_mapping_type_on_output"


@dataclass(frozen=True)
class Tagged:
    """A value with one of Compose's tags."""

    tag: str
    value: Any


class ComposeConstructor(SafeConstructor):
    """Reads Compose's tags; the values that have one become :class:`Tagged`."""

    def construct_tagged(self, node: Node) -> Tagged:
        """A node with a tag."""
        plain, quoted = copy.copy(node), getattr(node, "style", None)
        plain.ctag = self.resolver.resolve(type(node), node.value, (not quoted, False))
        return Tagged(str(node.tag), self.construct_object(plain, deep=True))

    def construct_yaml_int(self, node: Node) -> int:
        """A number; one that YAML 1.2 takes for decimal, and Compose for octal, is an error."""
        if OCTAL.fullmatch(node.value):
            raise ValueError(f"{node.value} is octal for Docker Compose: write {int(node.value, 8)}")
        return int(super().construct_yaml_int(node))


for _tag in (RESET, OVERRIDE):
    ComposeConstructor.add_constructor(_tag, ComposeConstructor.construct_tagged)
ComposeConstructor.add_constructor("tag:yaml.org,2002:int", ComposeConstructor.construct_yaml_int)


def dump(document: Mapping[str, Any]) -> str:
    """A document as YAML, with Compose's tags where values have them."""
    writer = YAML(typ="safe", pure=True)
    # The library's annotations allow None only.
    for name, value in (("default_flow_style", False), ("width", LARGEST_TEXT), (UNSORTED, False)):
        setattr(writer, name, value)
    writer.representer.add_representer(Tagged, _represent_tagged)
    writer.representer.add_representer(str, _represent_text)
    writer.representer.ignore_aliases = lambda _: True
    sink = io.StringIO()
    writer.dump(document, sink)
    return sink.getvalue()


def _represent_tagged(representer: Any, tagged: Tagged) -> Node:
    node: Node = representer.represent_data(tagged.value)
    node.ctag = Tag(suffix=tagged.tag)
    return node


def _represent_text(representer: Any, text: str) -> Node:
    """In quotes: versions of YAML differ in what is text without them, such as ``22:22`` and ``yes``."""
    node: Node = representer.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    return node


@dataclass(frozen=True)
class YamlText:
    """One YAML text, parsed. ``events`` are the parser's, with their positions."""

    file: Path | str
    events: tuple[Event, ...]

    def compose(self) -> Node | None:
        """Its root node; None if it is empty. Raises ``TopologyError``."""
        root: Node | None = _read(lambda: self._reader().compose(""), self.file)
        return root

    def construct(
        self, constructor: type[SafeConstructor] = SafeConstructor, *, duplicates: bool = False
    ) -> Any:
        """Its data, with anchors and merges expanded. Raises ``TopologyError``.

        A duplicate key is an error, unless ``duplicates``: then the first one counts.
        """
        reader = self._reader()
        reader.Constructor = constructor
        reader.allow_duplicate_keys = duplicates
        return _read(lambda: reader.load(""), self.file)

    def _reader(self) -> YAML:
        reader = _reader()
        reader.Parser = lambda loader: _Replay(self.events)  # noqa: ARG005 (the library names it)
        return reader


@lru_cache(maxsize=128)
def parse(text: str, file: Path | str) -> YamlText:
    """Parse a text. Raises ``TopologyError`` if it is not YAML, or would cost too much to read.

    That is a text with too much nesting, too many nodes, or an alias of itself. Stops at the first problem.
    """
    if len(text) > LARGEST_TEXT:
        problem = f"larger than {LARGEST_TEXT // MIB} MiB, the most that is read of such a file"
        raise TopologyError(problem, file=file, remedy="split it, or take out what is not needed")
    measure = _Measure(file)
    _read(lambda: measure.over(_reader().parse(text)), file)
    return YamlText(file, tuple(measure.events))


def _reader() -> YAML:
    return YAML(typ="safe", pure=True)


class _Replay:
    """Replaces the library's parser: returns events that were parsed before."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._next = 0

    def check_event(self, *kinds: type[Event]) -> bool:
        return self._next < len(self._events) and (not kinds or isinstance(self.peek_event(), kinds))

    def peek_event(self) -> Event:
        return self._events[self._next]

    def get_event(self) -> Event:
        self._next += 1
        return self._events[self._next - 1]

    def dispose(self) -> None:
        """Nothing is held open."""


def _read(read: Callable[[], T], file: Path | str) -> T:
    """What ``read`` returns. All errors of YAML, or of values in it, become a ``TopologyError``.

    A value is an error if it is not what its tag or its form says: a date of month 13, ``!!int`` of no
    number.
    """
    try:
        return read()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem, remedy = f"not YAML: {error.problem or error.context}", "correct the syntax on this line"
        if MANY in (error.context or ""):
            problem, remedy = "not YAML: it has several documents", "keep one, without '---' between parts"
        line = mark.line + 1 if mark else None
        raise TopologyError(problem, file=file, line=line, remedy=remedy) from error
    except YAMLError as error:
        raise TopologyError(f"not YAML: {error}", file=file, remedy="correct the file's syntax") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        problem = f"not YAML: a value is not what its tag or its form says: {error}"
        remedy = "put the value into quotes, and remove its tag"
        raise TopologyError(problem, file=file, remedy=remedy) from error
    except (RecursionError, MemoryError) as error:
        remedy = "write it with less nesting"
        raise TopologyError("nested too deep", file=file, remedy=remedy) from error


@dataclass
class _Open:
    """An open collection: how many nodes it has so far, and how many levels below it."""

    anchor: str | None
    event: Event
    nodes: int = 1
    height: int = 1


@dataclass
class _Measure:
    """Counts a document's nodes and levels with all aliases expanded."""

    file: Path | str
    outer: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[int, int]] = field(default_factory=dict)
    nodes: int = 0
    events: list[Event] = field(default_factory=list)

    def over(self, events: Iterable[Event]) -> None:
        for event in events:
            self.events.append(event)
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
            problem = f"more than {MOST_NODES} keys and values, with aliases expanded"
            raise self.refused(problem, event, "remove what is not needed, or use fewer aliases")
        if depth > DEEPEST:
            raise self.refused(f"nested more than {DEEPEST} deep", event, "write it with less nesting")

    def _meant(self, event: Any) -> tuple[int, int]:
        around = next((each for each in self.outer if each.anchor == event.anchor), None)
        if around:
            problem = f"*{event.anchor} is inside of &{event.anchor}: a node that contains itself never ends"
            raise self.refused(problem, around.event, "remove the alias")
        return self.anchors.get(event.anchor, (1, 0))  # an unknown one is reported by its reader

    def _keep(self, anchor: str | None, nodes: int, height: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = (nodes, height)

    def refused(self, problem: str, event: Event, remedy: str) -> TopologyError:
        return TopologyError(problem, file=self.file, line=event.start_mark.line + 1, remedy=remedy)


def _check_scalar(event: Any, measure: _Measure) -> None:
    """Refuse numbers that take long to read or cannot be shown, and invalid characters."""
    value = event.value
    if len(value) > LONGEST_NUMBER and NUMBER.fullmatch(value):
        problem = f"a number of {len(value)} digits"
        raise measure.refused(problem, event, f"write one of at most {LONGEST_NUMBER}, or put it into text")
    if SURROGATE.search(value):
        problem = "it contains half of a surrogate pair, which is not a character"
        raise measure.refused(problem, event, "write the character itself")

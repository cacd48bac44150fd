"""A YAML file as data, with the line of every key: what error messages point at."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from harness.core import yaml
from harness.core.documents import read_text
from harness.core.errors import TopologyError, TopologyErrors

Step = str | int


@dataclass(frozen=True)
class Source:
    """One YAML document: where it is, its nodes (for lines) and its data."""

    file: Path
    root: Node
    data: Any

    def line(self, path: Sequence[Step]) -> int:
        """The line (from 1) of the key or item at ``path``, or of the nearest thing around it."""
        node, line = self.root, 1
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            at, node = found
            line = at.start_mark.line + 1
        return line


@dataclass
class Problems:
    """Everything found wrong with a source so far."""

    source: Source
    errors: list[TopologyError] = field(default_factory=list)

    def add(self, path: Sequence[Step], problem: str, remedy: str, *, line: int | None = None) -> None:
        """Note a problem with the key at ``path``; ``line`` is looked up unless given."""
        self.errors.append(
            TopologyError(
                problem,
                file=self.source.file,
                line=self.source.line(path) if line is None else line,
                field=field_name(path),
                remedy=remedy,
            )
        )

    def raise_any(self) -> None:
        """Raise what was found, in the order of the file, if anything was."""
        found = sorted(self.errors, key=lambda error: error.line or 0)
        if len(found) == 1:
            raise found[0]
        if found:
            raise TopologyErrors(found)


def read(file: Path, *, sample: str = "topologies/standard.yaml") -> Source:
    """Read one YAML document. Raises ``TopologyError`` for what is not one, duplicate keys included.

    ``sample`` is a file of its kind to start from.
    """
    source = _read(read_text(file, remedy="give the path of a readable YAML file"), file, sample)
    return replace(source, data=copy.deepcopy(source.data))  # it may be changed


@lru_cache(maxsize=32)
def _read(text: str, file: Path, sample: str) -> Source:
    """One command reads a file several times, and this takes most of the time."""
    document = yaml.parse(text, file)
    root, data = document.compose(), document.construct(yaml.ComposeConstructor, duplicates=True)
    if root is None or data is None:
        raise TopologyError("the file is empty", file=file, remedy=f"start from a copy of {sample}")
    source = Source(file, root, data)
    problems = Problems(source)
    for path, line in _duplicates(root, ()):
        problems.add(path, "this key is given twice", "remove one of the two", line=line)
    problems.raise_any()
    return source


def field_name(path: Sequence[Step]) -> str:
    """``firewalls.runner.inbound[0].ports``"""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy: the closest of the known words, and all of them."""
    words = sorted(known)
    close = closest(word, words)
    listed = f"known here: {', '.join(words)}" if words else "there are none here"
    return f"did you mean {close!r}? {listed}" if close else listed


def closest(word: str, known: Iterable[str]) -> str:
    """The one of the known words that ``word`` resembles most; "" where it resembles none."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1)), "")


def _child(node: Node, step: Step) -> tuple[Node, Node] | None:
    """The node to point at, and the node to go on from."""
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    if isinstance(node, MappingNode):
        for key, value in _pairs(node):
            if key.value == str(step):
                return key, value
    return None


def _pairs(node: MappingNode) -> Iterator[tuple[Node, Node]]:
    """A mapping's own pairs, then those it merges with ``<<``."""
    own = [(key, value) for key, value in node.value if key.value != "<<"]
    yield from own
    for key, value in node.value:
        if key.value == "<<":
            for merged in value.value if isinstance(value, SequenceNode) else [value]:
                if isinstance(merged, MappingNode):
                    yield from _pairs(merged)


def _duplicates(node: Node, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], int]]:
    """Path and line of every key that its mapping already has."""
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicates(item, (*path, index))
    elif isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            here = (*path, str(key.value) if isinstance(key, ScalarNode) else "?")
            if here[-1] in seen:
                yield here, key.start_mark.line + 1
            seen.add(str(here[-1]))
            yield from _duplicates(value, here)

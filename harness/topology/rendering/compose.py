"""Removes the networks from a compose file: the plan's "No-Change Deployment".

:func:`strip_networks` deletes the top-level ``networks:`` and each service's, as lines of the text, so that
all else stays byte for byte; then it reads the result and proves that nothing but networks is gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from harness.core import yaml
from harness.core.errors import TopologyError

KEY = "networks"
MERGE = "<<"
BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Removed:
    """A section that was removed: where it was, as ``services.web.networks``, and its line (from 1)."""

    path: str
    line: int


@dataclass(frozen=True)
class Stripped:
    """A compose file without networks, and what was removed from it."""

    text: str
    removed: tuple[Removed, ...]


@dataclass(frozen=True)
class _Doomed:
    """A pair that has to be removed: its key's node, and the mapping it is in."""

    path: str
    mapping: MappingNode
    key: ScalarNode

    @property
    def line(self) -> int:
        return int(self.key.start_mark.line) + 1


@dataclass(frozen=True)
class _Edit:
    """``text[start:end]`` becomes ``replacement``."""

    start: int
    end: int
    replacement: str = ""


def strip_networks(text: str, *, file: Path | str) -> str:
    """The compose file without its networks. Raises ``TopologyError`` where that cannot be done safely."""
    return strip(text, file=file).text


@lru_cache(maxsize=128)  # the same file is rendered for each node, and read again by each check
def strip(text: str, *, file: Path | str) -> Stripped:
    """As :func:`strip_networks`, with a list of what was removed."""
    root = _compose(text, file)
    doomed = list(_doomed(root, file))
    events = yaml.parse(text, file).events
    edits = sorted((_edit(text, events, each, file) for each in doomed), key=lambda edit: edit.start)
    _check_anchors(events, edits, file)
    result = _apply(text, edits)
    _prove(root, doomed, result, file)
    return Stripped(result, tuple(Removed(each.path, each.line) for each in doomed))


def _compose(text: str, file: Path | str) -> MappingNode:
    """The file's nodes, with their positions."""
    root = yaml.parse(text, file).compose()
    if not isinstance(root, MappingNode):
        problem = "the file is empty" if root is None else "it is not a mapping"
        raise TopologyError(problem, file=file, line=1, remedy="give a compose file with 'services:'")
    return root


def _doomed(root: MappingNode, file: Path | str) -> Iterator[_Doomed]:
    """Every pair to remove, each once."""
    seen: set[int] = set()
    for path, mapping in _holders(root, file):
        for key, _ in mapping.value:
            if key.value == KEY and id(key) not in seen:
                seen.add(id(key))
                yield _Doomed(path + KEY, mapping, key)


def _holders(root: MappingNode, file: Path | str) -> Iterator[tuple[str, MappingNode]]:
    """The mappings whose ``networks`` are removed: the file, its services, and those merged with ``<<``."""
    for top in _with_merged(root, (), file):
        yield "", top
        for key, services in top.value:
            if key.value == "services" and isinstance(services, MappingNode):
                for name, service in _services(services, file):
                    for mapping in _with_merged(service, (), file):
                        yield f"services.{name}.", mapping


def _services(services: MappingNode, file: Path | str) -> Iterator[tuple[str, MappingNode]]:
    for group in _with_merged(services, (), file):
        for name, service in group.value:
            if name.value != MERGE and isinstance(service, MappingNode):
                yield str(name.value), service


def _with_merged(
    node: MappingNode, outer: tuple[MappingNode, ...], file: Path | str
) -> Iterator[MappingNode]:
    if any(node is each for each in outer):
        line = node.start_mark.line + 1
        raise TopologyError("it merges itself", file=file, line=line, remedy="take the '<<' out")
    yield node
    for key, value in node.value:
        if key.value == MERGE:
            for merged in value.value if isinstance(value, SequenceNode) else [value]:
                if isinstance(merged, MappingNode):
                    yield from _with_merged(merged, (*outer, node), file)


def _edit(text: str, events: Sequence[Event], doomed: _Doomed, file: Path | str) -> _Edit:
    """The edit that removes one pair: whole lines, or a part of a ``{...}``."""
    key = doomed.key
    at = next(i for i, event in enumerate(events) if _is_at(event, key.start_mark.index))
    last = _value_end(text, events, at)
    if doomed.mapping.flow_style:
        return _flow_edit(text, events, at, last)
    start = _line_start(text, key.start_mark.index)
    if text[start : key.start_mark.index].strip(" "):
        problem = "it does not begin its line, so it cannot be taken out without changing the rest"
        remedy = "put 'networks:' on a line of its own"
        raise TopologyError(problem, file=file, line=doomed.line, field=doomed.path, remedy=remedy)
    end = _inner_comments_end(text, _line_end(text, last), key.start_mark.column)
    return _Edit(start, end, _placeholder_mapping(text, start, end, doomed))


def _is_at(event: Event, index: int) -> bool:
    """Whether this is the text at ``index``; an empty value before it would have the same position."""
    start, end = event.start_mark.index, event.end_mark.index
    return isinstance(event, ScalarEvent) and start == index and end > start


def _value_events(events: Sequence[Event], at: int) -> Sequence[Event]:
    """The events of the value whose key is ``events[at]``."""
    depth = 0
    for index in range(at + 1, len(events)):
        depth += isinstance(events[index], CollectionStartEvent)
        depth -= isinstance(events[index], CollectionEndEvent)
        if depth == 0:
            return events[at + 1 : index + 1]
    return events[at + 1 :]


def _value_end(text: str, events: Sequence[Event], at: int) -> int:
    """Where the value of the key ``events[at]`` ends, in the text.

    A block's end mark, and an empty value's, is where the next thing begins, so they don't count.
    """
    ends = [int(events[at].end_mark.index)]
    for event in _value_events(events, at):
        if isinstance(event, ScalarEvent) and event.style in ("|", ">"):
            ends.append(int(event.start_mark.index) + len(_span(text, event).rstrip()))
        elif _span(text, event) and (isinstance(event, NodeEvent) or _span(text, event) in ("]", "}")):
            ends.append(int(event.end_mark.index))
    return max(ends)


def _span(text: str, event: Event) -> str:
    return text[event.start_mark.index : event.end_mark.index]


def _inner_comments_end(text: str, end: int, column: int) -> int:
    """Past the comments that follow and are indented deeper than the key."""
    position = end
    while position < len(text):
        following = _line_end(text, position)
        line = text[position:following]
        bare = line.lstrip(" ")
        if line.strip():
            if not bare.startswith("#") or len(line) - len(bare) <= column:
                break
            end = following
        position = following
    return end


def _placeholder_mapping(text: str, start: int, end: int, doomed: _Doomed) -> str:
    """What keeps a mapping a mapping when its only key is removed: ``{}`` on a line of its own."""
    if len(doomed.mapping.value) > 1:
        return ""
    removed = text[start:end]
    return " " * int(doomed.key.start_mark.column) + "{}" + removed[len(removed.rstrip("\r\n")) :]


def _flow_edit(text: str, events: Sequence[Event], at: int, last: int) -> _Edit:
    """The pair and one comma of a ``{...}``."""
    start = int(events[at].start_mark.index)
    following = events[at + 1 + len(_value_events(events, at))]
    if not isinstance(following, MappingEndEvent):
        return _Edit(start, int(following.start_mark.index))
    comma = text[last : following.start_mark.index].find(",")
    before = re.search(r",\s*$", text[:start])
    if before and comma < 0:
        return _Edit(before.start(), last)
    return _Edit(start, last + comma + 1)


def _line_start(text: str, index: int) -> int:
    start = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1
    return start + text.startswith(BYTE_ORDER_MARK, start)


def _line_end(text: str, index: int) -> int:
    """Where the line after the one of ``index`` begins."""
    ending = re.compile(r"\r\n|\r|\n").search(text, index)
    return ending.end() if ending else len(text)


def _check_anchors(events: Sequence[Event], edits: list[_Edit], file: Path | str) -> None:
    """What is removed must not define an anchor that something else uses."""
    lost: dict[str, int] = {}
    for event in events:
        anchor = getattr(event, "anchor", None)
        if anchor is None:
            continue
        inside = any(edit.start <= event.start_mark.index < edit.end for edit in edits)
        if isinstance(event, AliasEvent):
            if not inside and anchor in lost:
                problem = f"*{anchor} is used here but defined in networks (line {lost[anchor]}), which go"
                remedy = f"define &{anchor} elsewhere, under an 'x-' key for instance"
                line = event.start_mark.line + 1
                raise TopologyError(problem, file=file, line=line, remedy=remedy)
        elif inside:
            lost[anchor] = event.start_mark.line + 1
        else:
            lost.pop(anchor, None)


def _apply(text: str, edits: list[_Edit]) -> str:
    parts, position = [], 0
    for edit in edits:
        if edit.end <= position:
            continue
        parts += [text[position : edit.start], edit.replacement]
        position = edit.end
    return "".join([*parts, text[position:]])


def _prove(root: MappingNode, doomed: list[_Doomed], result: str, file: Path | str) -> None:
    """The result must have the same data as the original, without the removed pairs."""
    gone = {id(each.key) for each in doomed}
    if _shape(root, gone, ()) != _shape(_compose(result, file), set(), ()):
        first = doomed[0]
        remedy = "take the networks out by hand, or write them one key to a line"
        problem = "the networks cannot be taken out without changing something else"
        raise TopologyError(problem, file=file, line=first.line, field=first.path, remedy=remedy)


def _shape(node: Node, gone: set[int], outer: tuple[int, ...]) -> Any:
    """A node's tags and values without style and positions, aliases written out."""
    if id(node) in outer:
        return ("recursive", outer.index(id(node)))
    inner = (*outer, id(node))
    if isinstance(node, MappingNode):
        pairs = [pair for pair in node.value if id(pair[0]) not in gone]
        return (node.tag, [(_shape(key, gone, inner), _shape(value, gone, inner)) for key, value in pairs])
    if isinstance(node, SequenceNode):
        return (node.tag, [_shape(each, gone, inner) for each in node.value])
    return (node.tag, node.value)

"""One service of a compose file on its way into the stack, and what the steps make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from harness.core.errors import TopologyError
from harness.stack import taint
from harness.stack.compose import ComposeFile
from harness.stack.model import Note, Source
from harness.topology.model import StackService, Topology


@dataclass(frozen=True)
class Job:
    """The compose file's service ``name``, to be the stack's service ``title``.

    ``main``: the one that the topology's replicas and ports are meant for. ``forms`` are the
    passwords that are known, as they are and as in a URL.
    """

    topology: Topology
    source: Source
    file: ComposeFile
    name: str
    title: str
    main: bool
    forms: frozenset[str] = field(repr=False)
    ipvs: bool

    @property
    def body(self) -> Mapping[str, Any]:
        return self.file.services[self.name]

    @property
    def service(self) -> StackService:
        return self.source.service

    @property
    def stack(self) -> str:
        assert self.topology.swarm is not None
        return self.topology.swarm.stack

    @property
    def directory(self) -> Path:
        """Where the compose file is; relative paths begin here."""
        return self.service.compose.parent

    def field(self, key: str) -> str:
        """``key`` as a path into the compose file."""
        return f"services.{self.name}.{key}" if key else f"services.{self.name}"

    def note(self, key: str, what: str, instead: str) -> Note:
        """A remark on the compose file's ``key``, safe to show."""
        return Note(f"{self.service.name}: {self.field(key)}", taint.shown(what), taint.shown(instead))

    def error(self, key: str, problem: str, remedy: str) -> TopologyError:
        """An error about the compose file's ``key``, safe to show."""
        return TopologyError(
            taint.shown(problem),
            file=self.service.compose,
            field=self.field(key),
            remedy=taint.shown(remedy),
        )

    def topology_error(self, key: str, problem: str, remedy: str) -> TopologyError:
        """An error about what the topology says of the service."""
        name = f"swarm.services.{self.service.name}.{key}"
        return TopologyError(problem, file=self.topology.file, field=name, remedy=remedy)


@dataclass(frozen=True)
class Part:
    """What one step adds to the stack.

    ``body`` goes to the service; ``configs``, ``secrets`` and ``volumes`` to the top level. A config or
    secret that is not ours to make has None for content. ``hidden`` are secret values, with their variables.
    """

    body: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    configs: Mapping[str, bytes | None] = field(default_factory=dict)
    secrets: Mapping[str, bytes | None] = field(default_factory=dict)
    volumes: Mapping[str, Any] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False)


def join(parts: Iterable[Part]) -> Part:
    """All parts as one, in their order: mappings are merged, lists put one after the other."""
    return reduce(_joined, parts, Part())


def _joined(one: Part, other: Part) -> Part:
    return Part(
        body=_merged(one.body, other.body),
        notes=(*one.notes, *other.notes),
        configs={**one.configs, **other.configs},
        secrets={**one.secrets, **other.secrets},
        volumes={**one.volumes, **other.volumes},
        hidden={**one.hidden, **other.hidden},
    )


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(one)
    for key, value in other.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(before, value)
        elif isinstance(before, list) and isinstance(value, list):
            result[key] = [*before, *value]
        else:
            result[key] = value
    return result

"""What each step of the conversion gets, one service of a compose file, and what it returns, a fragment."""

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
class ServiceContext:
    """The compose file's service ``name``, which becomes the stack's service ``title``.

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
        """A note on the compose file's ``key``, with secrets masked."""
        return Note(f"{self.service.name}: {self.field(key)}", taint.masked(what), taint.masked(instead))

    def error(self, key: str, problem: str, remedy: str) -> TopologyError:
        """An error about the compose file's ``key``, with secrets masked."""
        return TopologyError(
            taint.masked(problem),
            file=self.service.compose,
            field=self.field(key),
            remedy=taint.masked(remedy),
        )

    def topology_error(self, key: str, problem: str, remedy: str) -> TopologyError:
        """An error about what the topology says of the service."""
        name = f"swarm.services.{self.service.name}.{key}"
        return TopologyError(problem, file=self.topology.file, field=name, remedy=remedy)


@dataclass(frozen=True)
class Fragment:
    """What one step adds to the stack.

    ``body`` goes to the service; ``configs``, ``secrets`` and ``volumes`` to the top level. An
    external config or secret has None for content. ``hidden`` are secret values, with their variables.
    """

    body: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    configs: Mapping[str, bytes | None] = field(default_factory=dict)
    secrets: Mapping[str, bytes | None] = field(default_factory=dict)
    volumes: Mapping[str, Any] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False)


def join(fragments: Iterable[Fragment]) -> Fragment:
    """All fragments as one, in their order: mappings are merged, lists concatenated."""
    return reduce(_joined, fragments, Fragment())


def _joined(one: Fragment, other: Fragment) -> Fragment:
    return Fragment(
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

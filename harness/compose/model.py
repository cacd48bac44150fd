"""What is known of an application's compose file, in the form that Compose gives it."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.core.errors import TopologyError

URL = "://"


@dataclass(frozen=True)
class EnvFile:
    """A file of variables that a service names; ``path`` as :class:`ComposeProject` has it."""

    path: str
    required: bool = True


@dataclass(frozen=True)
class Build:
    """A ``build:`` section that can be built here. ``context`` is a directory of this machine.

    ``dockerfile`` is relative to it, or its text is ``inline``. ``contexts`` are further ones by name,
    directories of this machine or what BuildKit takes. ``options`` are options of ``docker build`` that any
    builder knows, ``buildkit`` those that only BuildKit does.
    """

    context: Path
    dockerfile: str = "Dockerfile"
    inline: str = ""
    target: str = ""
    network: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    buildkit: tuple[str, ...] = ()


@dataclass(frozen=True)
class Container:
    """A service that starts: its image's name as written ("" for none), and how it is built."""

    name: str
    image: str
    build: Build | None


@dataclass(frozen=True)
class ComposeProject:
    """One compose file, with what it extends and includes, as Compose understands it.

    * ``document`` is Compose's normalised answer with variables replaced: long forms only. ``services`` are
      the file's, in the order in which they are written, each without keys that say nothing.
    * ``started`` are those that ``docker compose up`` starts: without a profile, or with an active one.
    * Paths below or beside the file are relative to its directory and begin with a dot (``.``, ``./conf``,
      ``../shared``); absolute ones are paths of the machine that the containers run on, and ``~/x`` is in
      the home directory of whoever runs Compose.
    * ``compose_files`` are the other compose files that it names, ``env_files`` what each service names;
      ``beside`` are files that Compose reads without being told to, such as the ``.env`` of an included file.
    * ``unset`` are variables that have neither value nor default, ``variables`` all that ``${NAME}`` names,
      ``sections`` the top-level keys as written,
      ``extensions`` each service's own keys that begin with ``x-``.
    """

    file: Path
    document: Mapping[str, Any] = field(repr=False)
    services: Mapping[str, Mapping[str, Any]] = field(repr=False)
    started: tuple[str, ...]
    compose_files: tuple[str, ...] = ()
    env_files: Mapping[str, tuple[EnvFile, ...]] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    variables: frozenset[str] = frozenset()
    sections: tuple[str, ...] = ()
    extensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        """Where the compose file is; relative paths begin here."""
        return self.file.parent

    def running(self) -> dict[str, Mapping[str, Any]]:
        """The services that start, by name."""
        return {name: self.services[name] for name in self.started}

    def image(self, name: str) -> str:
        """A service's image as written, "" where it names none."""
        return str(self.services[name].get("image", ""))

    def paths(self) -> tuple[str, ...]:
        """What the services that start mount or read beside the compose file, and the other compose files."""
        return tuple(dict.fromkeys(self._paths()))

    def shipped(self, rendered: Collection[str] = ()) -> tuple[str, ...]:
        """:meth:`paths` that a node is sent, normalised. Raises ``TopologyError`` for what it cannot be sent.

        ``rendered`` are the names of files that lie there anyway.
        """
        names = []
        for path in self.paths():
            name = inside(path)
            if name is None:
                problem = f"{path} lies outside of {self.directory}"
                remedy = "put what a service mounts into the directory of its compose file"
                raise self.error("", problem, remedy)
            names.append(name)
        for kind, path in self._objects():
            if inside(path) not in rendered and not (self.directory / path).is_file():
                problem = f"there is no {self.directory / path}"
                raise self.error(kind, problem, "correct the path, or add the file")
        return tuple(dict.fromkeys(names))

    def _paths(self) -> Iterator[str]:
        yield from self.compose_files
        yield from self.beside
        for name, body in self.running().items():
            yield from (each.path for each in self.env_files.get(name, ()))
            for mount in body.get("volumes", ()):
                if mount["type"] == "bind" and is_beside(mount.get("source", "")):
                    yield mount["source"]
        yield from (path for _, path in self._objects())

    def _objects(self) -> Iterator[tuple[str, str]]:
        """The files of the configs and secrets that services use, each with its place."""
        for body in self.running().values():
            for kind in ("configs", "secrets"):
                declared = self.document.get(kind, {})
                for name in (reference["source"] for reference in body.get(kind, ())):
                    if is_beside(path := declared.get(name, {}).get("file", "")):
                        yield f"{kind}.{name}.file", path

    def error(self, field: str, problem: str, remedy: str) -> TopologyError:
        """An error about a place in the compose file, as ``services.web.image``."""
        return TopologyError(problem, file=self.file, field=field, remedy=remedy)


def is_beside(path: str) -> bool:
    """Whether a path of a :class:`ComposeProject` is relative to the compose file."""
    return path.startswith(".")


def is_url(context: str) -> bool:
    """Whether a build context is somewhere else than on this machine."""
    return URL in context or context.startswith(("git@", "github.com/"))


def inside(path: str) -> str | None:
    """``path`` normalised, or None when it leaves the directory it is relative to."""
    normal = posixpath.normpath(path)
    return None if posixpath.isabs(normal) or normal.split("/")[0] == ".." else normal

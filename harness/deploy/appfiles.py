"""What a compose file needs beside itself: images, and the files it mounts or reads."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from harness.core import yaml
from harness.core.documents import LARGEST_TEXT
from harness.core.errors import TopologyError

# A default may hold a variable in turn: ${A:-${B:-c}}.
VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-?+])((?:\$\{[^}]*\}|[^}])*))?\})")


@dataclass(frozen=True)
class Build:
    """A ``build:`` section. ``context`` is absolute; ``dockerfile`` relative to it."""

    context: Path
    dockerfile: str = "Dockerfile"
    target: str = ""
    network: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """One service of a compose file: its image's name as written ("" for none), and how it is built."""

    name: str
    image: str
    build: Build | None


@dataclass(frozen=True)
class AppFiles:
    """What one compose file says. ``paths`` are relative to its directory, as the file writes them.

    ``extended`` are those of them that are compose files too, named by ``extends``.
    """

    version: str | None
    containers: tuple[Container, ...]
    paths: tuple[str, ...]
    extended: tuple[str, ...] = ()


def read_app(text: str, file: Path, environment: Mapping[str, str]) -> AppFiles:
    """Read the compose file ``text``, which lies at ``file``. Raises ``TopologyError``.

    ``environment`` is what ``.env`` will hold: compose replaces ``${NAME}`` from it.
    """
    document = parse(text, file)
    services = document.get("services")
    if not isinstance(services, dict) or not services:
        raise TopologyError(
            "no services", file=file, field="services", remedy="a compose file names at least one service"
        )
    try:
        return _read(document, services, _Reader(file, environment))
    except (TypeError, AttributeError, LookupError, RecursionError) as error:
        problem = f"a section does not have the form that compose gives it: {error}"
        remedy = "`docker compose config` says which; correct it"
        raise TopologyError(problem, file=file, field="services", remedy=remedy) from error


def _read(document: dict[str, Any], services: dict[Any, Any], reader: _Reader) -> AppFiles:
    containers = tuple(reader.container(str(name), body or {}) for name, body in services.items())
    version = document.get("version")
    return AppFiles(
        version=None if version is None else str(version),
        containers=containers,
        paths=tuple(dict.fromkeys(reader.paths(document))),
        extended=tuple(dict.fromkeys(reader.extended(document))),
    )


def parse(text: str, file: Path) -> dict[str, Any]:
    """A compose file's data, as it is written. Raises ``TopologyError``."""
    document = yaml.parse(text, file).construct()
    if not isinstance(document, dict):
        raise TopologyError("not a compose file", file=file, remedy="it must be a mapping with `services:`")
    return document


class _Reader:
    """Reads one file's values with its variables replaced."""

    def __init__(self, file: Path, environment: Mapping[str, str]) -> None:
        self._file = file
        self._environment = environment

    def container(self, name: str, body: Any) -> Container:
        if not isinstance(body, dict):
            raise TopologyError(
                "not a mapping", file=self._file, field=f"services.{name}", remedy="give it an image"
            )
        image = self._value(body.get("image", ""))
        build = body.get("build")
        if not image and build is None:
            raise TopologyError(
                "neither image nor build",
                file=self._file,
                field=f"services.{name}",
                remedy="say `build: .` or name an image",
            )
        return Container(name, image, None if build is None else self._build(name, build))

    def _build(self, name: str, build: Any) -> Build:
        section = {"context": build} if isinstance(build, str) else build
        context = self._value(section.get("context", "."))
        directory = Path(posixpath.normpath((self._file.parent / context).as_posix()))
        dockerfile = self._value(section.get("dockerfile", "Dockerfile"))
        if not (directory / dockerfile).is_file():
            raise TopologyError(
                f"there is no {directory / dockerfile}",
                file=self._file,
                field=f"services.{name}.build",
                remedy="correct the path, or name an image instead",
            )
        return Build(
            context=directory,
            dockerfile=dockerfile,
            target=self._value(section.get("target", "")),
            network=self._value(section.get("network", "")),
            arguments=self._arguments(section.get("args") or {}),
        )

    def _arguments(self, given: Any) -> dict[str, str]:
        pairs = (
            given.items() if isinstance(given, dict) else (str(item).partition("=")[::2] for item in given)
        )
        return {str(key): self._value("" if value is None else value) for key, value in pairs}

    def paths(self, document: dict[str, Any]) -> Iterator[str]:
        """Relative paths the file refers to, build contexts apart."""
        for body in document["services"].values():
            yield from self._env_files((body or {}).get("env_file"))
            yield from self._mounts((body or {}).get("volumes") or [])
        yield from self.extended(document)
        for kind in ("configs", "secrets"):
            for body in (document.get(kind) or {}).values():
                if isinstance(body, dict) and "file" in body:
                    yield self._value(body["file"])

    def _env_files(self, given: Any) -> Iterator[str]:
        for item in [given] if isinstance(given, str | dict) else given or []:
            yield self._value(item["path"] if isinstance(item, dict) else item)

    def _mounts(self, volumes: list[Any]) -> Iterator[str]:
        for volume in volumes:
            if isinstance(volume, dict):
                source = self._value(volume.get("source", "")) if volume.get("type") == "bind" else ""
            else:
                source = self._value(volume).split(":")[0] if ":" in str(volume) else ""
            if source.startswith("."):
                yield source

    def extended(self, document: dict[str, Any]) -> Iterator[str]:
        """Relative paths of the compose files whose services this one's extend."""
        for body in document["services"].values():
            given = (body or {}).get("extends")
            if isinstance(given, dict) and "file" in given:
                yield self._value(given["file"])

    def _value(self, raw: Any) -> str:
        return interpolate(str(raw), self._environment, file=self._file)


def interpolate(text: str, environment: Mapping[str, str], *, file: Path | str) -> str:
    """``text`` with ``$NAME``, ``${NAME}``, ``${NAME:-default}`` and the like replaced, as compose does it.

    ``$$`` is a dollar sign. Raises ``TopologyError`` for a ``${NAME?message}`` that is not given.
    """

    left = LARGEST_TEXT

    def replace(match: re.Match[str]) -> str:
        nonlocal left
        value = replaced(match)
        left -= len(value)
        if left < 0:
            problem = f"with its variables replaced, a value is longer than {LARGEST_TEXT} characters"
            raise TopologyError(problem, file=file, remedy="use the variable less often")
        return value

    def replaced(match: re.Match[str]) -> str:
        escaped, plain, braced, operator, word = match.groups()
        if escaped:
            return "$"
        value = environment.get(plain or braced)
        given = value if value or not (operator or "").startswith(":") else None
        if operator in ("-", ":-") and given is None:
            return interpolate(word, environment, file=file)
        if operator in ("?", ":?") and given is None:
            raise TopologyError(
                f"{braced} is not set: {word}", file=file, remedy="add it to the service's environment"
            )
        if operator in ("+", ":+"):
            return "" if given is None else interpolate(word, environment, file=file)
        return value or ""

    return VARIABLE.sub(replace, text)


def inside(path: str) -> str | None:
    """``path`` normalised, or None when it leaves the directory it is relative to."""
    normal = posixpath.normpath(path)
    return None if PurePosixPath(normal).is_absolute() or normal.split("/")[0] == ".." else normal

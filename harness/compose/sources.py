"""Which other files a compose file names. Compose's answer has their contents, and not their names.

What stands there is read as plain YAML; a name that holds a variable is for Compose to replace.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from harness.compose.model import EnvFile
from harness.core import yaml
from harness.core.errors import TopologyError

MOST_FILES = 100
VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)")
ENV = ".env"

Replace = Callable[[str], str]
Read = Callable[[str], str | None]


class Constructor(SafeConstructor):
    """Knows Compose's own tags: what is reset is gone. Any other tag is no matter of ours."""

    def construct_tagged(self, node: Node) -> Any:
        if node.tag == "!reset":
            return None
        if isinstance(node, MappingNode):
            return self.construct_mapping(node, deep=True)
        if isinstance(node, SequenceNode):
            return self.construct_sequence(node, deep=True)
        return self.construct_scalar(node) if isinstance(node, ScalarNode) else None


Constructor.add_constructor(None, Constructor.construct_tagged)
Constructor.add_constructor("tag:yaml.org,2002:timestamp", Constructor.construct_yaml_str)
Constructor.add_constructor("tag:yaml.org,2002:value", Constructor.construct_yaml_str)


@dataclass
class Sources:
    """The files that a compose file names; all paths are relative to its directory.

    ``compose_files`` are other compose files, ``env_files`` the services' files of variables and of labels,
    ``beside`` what Compose reads without being told to. ``document`` is the file itself, as plain data, and
    ``variables`` are the names of those in the texts of all of them.
    """

    document: Mapping[str, Any]
    variables: set[str] = field(default_factory=set)
    compose_files: list[str] = field(default_factory=list)
    env_files: dict[str, tuple[EnvFile, ...]] = field(default_factory=dict)
    beside: list[str] = field(default_factory=list)

    def all(self) -> Iterator[str]:
        """Every path."""
        yield from self.compose_files
        yield from self.beside
        yield from (each.path for files in self.env_files.values() for each in files)


def find(text: str, file: Path, replace: Replace, read: Read, more: Sequence[str] = ()) -> Sources:
    """The files that the compose file ``text``, which lies at ``file``, names, and those that these name.

    ``more`` are compose files that are merged into it, and count as named by it.
    ``replace`` replaces variables in a name; ``read`` returns a file's text by its path, relative to the
    directory of ``file``, or None. Raises ``TopologyError`` for a compose file that is not there.
    """
    return _Finder(file, replace, read).run(text, more)


def parse(text: str, file: Path) -> dict[str, Any]:
    """A compose file as plain data. Raises ``TopologyError`` for what has no services."""
    document = yaml.parse(text, file).construct(Constructor, duplicates=True)
    if not isinstance(document, dict):
        remedy = "it must be a mapping with `services:`"
        raise TopologyError("not a compose file", file=file, remedy=remedy)
    services = document.get("services")
    if not document.get("include") and (not isinstance(services, dict) or not services):
        remedy = "a compose file names at least one service"
        raise TopologyError("no services", file=file, field="services", remedy=remedy)
    return document


def services_of(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The services of a compose file as plain data; what is none is left out."""
    found = document.get("services")
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(name): body for name, body in pairs if isinstance(body, dict)}


class _Finder:
    """Follows the names from file to file."""

    def __init__(self, file: Path, replace: Replace, read: Read) -> None:
        self._file, self._replace, self._read = file, replace, read
        self._documents: dict[str, dict[str, Any]] = {}
        self._texts: list[tuple[str, Path]] = []

    def run(self, text: str, more: Sequence[str]) -> Sources:
        own = posixpath.normpath(self._file.name)
        self._documents[own] = parse(text, self._file)
        self._texts.append((text, self._file))
        found = Sources(self._documents[own])
        self._follow(found, own, "")
        for name in more:
            self._document(name, own, "compose")
            found.compose_files.append(name)
            self._follow(found, name, "")
        found.variables = {
            name
            for text, file in self._texts
            for _, node in nodes(yaml.parse(text, file).compose())
            for name in VARIABLE.findall(node.value.replace("$$", ""))
        }
        found.compose_files = list(dict.fromkeys(found.compose_files))
        return found

    def _follow(self, found: Sources, name: str, project: str) -> None:
        """Note what the compose file ``name`` names; its relative paths begin at ``project``."""
        document = self._documents[name]
        for service, body in services_of(document).items():
            files = tuple(self._env_files(found, name, project, body, (service,)))
            found.env_files[service] = tuple(dict.fromkeys((*found.env_files.get(service, ()), *files)))
        for entry in _listed(document.get("include")):
            given = entry if isinstance(entry, dict) else {"path": entry}
            paths = [self._path(project, each) for each in _texts(given.get("path"))]
            for path in paths:
                self._document(path, name, "include")
            if not paths:
                continue
            inner = posixpath.dirname(paths[0])
            if isinstance(given.get("project_directory"), str):
                inner = self._path(project, given["project_directory"])
            found.beside += [self._path(project, each) for each in _texts(given.get("env_file"))] or [
                posixpath.normpath(posixpath.join(inner, ENV))
            ]
            for path in paths:
                if path not in found.compose_files:
                    found.compose_files.append(path)
                    self._follow(found, path, inner)

    def _env_files(
        self, found: Sources, name: str, project: str, body: Mapping[str, Any], chain: Sequence[str]
    ) -> Iterator[EnvFile]:
        """What a service names, after what the services name that it extends."""
        extended = body.get("extends")
        if isinstance(extended, str):
            extended = {"service": extended}
        if isinstance(extended, dict) and len(chain) < MOST_FILES:
            base, other = name, str(extended.get("service", ""))
            if "file" in extended:
                base = self._path(project, extended["file"])
                self._document(base, name, f"services.{chain[0]}.extends")
                found.compose_files.append(base)
            inner = services_of(self._documents[base]).get(other)
            if inner is not None and f"{base}:{other}" not in chain:
                directory = posixpath.dirname(base) if "file" in extended else project
                yield from self._env_files(found, base, directory, inner, (*chain, f"{base}:{other}"))
        for key in ("env_file", "label_file"):
            for each in _listed(body.get(key)):
                given = each if isinstance(each, dict) else {"path": each}
                if isinstance(given.get("path"), str):
                    required = str(given.get("required", True)).lower() != "false"
                    yield EnvFile(self._path(project, given["path"]), required)

    def _document(self, path: str, named_in: str, field: str) -> None:
        if path in self._documents:
            return
        file, text = self._file.parent / path, self._read(path)
        if text is None:
            where = self._file.parent / named_in
            problem, remedy = f"there is no {file}", "correct the path, or add the file"
            raise TopologyError(problem, file=where, field=field, remedy=remedy)
        if len(self._documents) > MOST_FILES:
            problem, remedy = f"it names more than {MOST_FILES} other compose files", "name fewer"
            raise TopologyError(problem, file=self._file, field=field, remedy=remedy)
        self._texts.append((text, file))
        document = yaml.parse(text, file).construct(Constructor, duplicates=True)
        self._documents[path] = document if isinstance(document, dict) else {}

    def _path(self, project: str, written: Any) -> str:
        text = str(written)
        replaced = self._replace(text) if "$" in text else text
        return posixpath.normpath(posixpath.join(project, replaced))


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _texts(given: Any) -> list[str]:
    return [each for each in _listed(given) if isinstance(each, str)]


def nodes(node: Node | None, path: str = "") -> Iterator[tuple[str, ScalarNode]]:
    """Every text of a YAML document, keys left out, with its place, as ``services.web.ports``."""
    if isinstance(node, ScalarNode):
        yield path, node
    elif isinstance(node, SequenceNode):
        for each in node.value:
            yield from nodes(each, path)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            yield from nodes(value, f"{path}.{key.value}" if path else str(key.value))

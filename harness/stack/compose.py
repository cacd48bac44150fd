"""A compose file as data: anchors and merges written out, variables replaced, and secret values tainted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.nodes import ScalarNode

from harness.core import yaml
from harness.core.errors import TopologyError
from harness.deploy.appfiles import VARIABLE, interpolate
from harness.stack import taint


@dataclass(frozen=True)
class ComposeFile:
    """What one compose file says.

    ``services`` are its services, without keys that have no value. ``environment`` has the values that
    replaced ``${NAME}``, tainted where they are secret; ``unset`` are the names that had neither value nor
    default.
    """

    document: Mapping[str, Any]
    services: Mapping[str, Mapping[str, Any]]
    environment: Mapping[str, str]
    unset: tuple[str, ...]

    @property
    def started(self) -> tuple[str, ...]:
        """The services that ``compose up`` starts: those without a profile."""
        return tuple(name for name, body in self.services.items() if not body.get("profiles"))

    @property
    def passwords(self) -> dict[str, str]:
        """The secret values in ``environment``, each with its variable's name."""
        return {
            taint.untainted(value): name for name, value in self.environment.items() if taint.is_secret(value)
        }


class _Constructor(SafeConstructor):
    """Reads numbers as Docker does: ``0444`` is octal. Dates stay text, and so does a ``=`` alone."""

    def construct_yaml_int(self, node: ScalarNode) -> int:
        text = self.construct_scalar(node).replace("_", "")
        if len(text) > 1 and text.startswith("0") and set(text) <= set("01234567"):
            return int(text, 8)
        return int(super().construct_yaml_int(node))


_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_yaml_int)
_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_str)
_Constructor.add_constructor("tag:yaml.org,2002:value", _Constructor.construct_yaml_str)


def read(text: str, environment: Mapping[str, str], *, file: Path) -> ComposeFile:
    """Read the compose file ``text``. ``environment`` is tainted. Raises ``TopologyError``."""
    raw = parse(text, file=file)
    unset = tuple(dict.fromkeys(_unset(raw, environment)))
    document = _resolved(raw, environment, file)
    services = document.get("services")
    if not isinstance(services, dict) or not services:
        raise TopologyError(
            "no services", file=file, field="services", remedy="a compose file names at least one service"
        )
    return ComposeFile(
        document=document,
        services={str(name): _body(str(name), body, file) for name, body in services.items()},
        environment=environment,
        unset=unset,
    )


def parse(text: str, *, file: Path) -> dict[str, Any]:
    """The data in the text, before variables are replaced. Raises ``TopologyError``."""
    if taint.ANY.search(text):
        problem = "it holds characters of Unicode's private use area, U+E000 to U+E003"
        raise TopologyError(problem, file=file, remedy="take them out")
    document = yaml.parse(text, file).construct(_Constructor)
    if not isinstance(document, dict):
        raise TopologyError("not a compose file", file=file, remedy="it must be a mapping with `services:`")
    return document


def _body(name: str, body: Any, file: Path) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        remedy = "give it at least an image"
        raise TopologyError("not a mapping", file=file, field=f"services.{name}", remedy=remedy)
    return {str(key): value for key, value in body.items() if value is not None}


def _resolved(value: Any, environment: Mapping[str, str], file: Path) -> Any:
    """Variables are replaced in values, never in keys."""
    if isinstance(value, str):
        return interpolate(value, environment, file=file)
    if isinstance(value, dict):
        return {key: _resolved(each, environment, file) for key, each in value.items()}
    if isinstance(value, list):
        return [_resolved(each, environment, file) for each in value]
    return value


def _unset(value: Any, environment: Mapping[str, str]) -> Iterator[str]:
    if isinstance(value, str):
        for escaped, plain, braced, operator, _ in VARIABLE.findall(value):
            if not escaped and not operator and (plain or braced) not in environment:
                yield plain or braced
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _unset(each, environment)

"""The stack as text: YAML that every version of Docker's reader, YAML 1.1 or 1.2, takes for the same data."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from harness.stack import marks

# What needs no quotes, whoever reads it: it begins with a letter, and is no truth value.
PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*(?::[/A-Za-z0-9_.-]+)*(?: [A-Za-z0-9_./=!-]+)*")
TRUTHS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
WIDE = 1 << 20


class _Representer(SafeRepresenter):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (the base class asks about each value)
        return True

    def represent_str(self, data: str) -> ScalarNode:
        plain = PLAIN.fullmatch(data) and data.lower() not in TRUTHS
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')


_Representer.add_representer(str, _Representer.represent_str)


def escaped(value: Any) -> Any:
    """``value`` as the file says it: ``$$`` for each dollar sign, ``${NAME}`` for what is to be filled in."""
    if isinstance(value, str):
        return marks.written(value)
    if isinstance(value, Mapping):
        return {key: escaped(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [escaped(each) for each in value]
    return value


def text(document: Mapping[str, Any]) -> str:
    """The document, which is escaped already, as YAML."""
    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Representer
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # (ruamel says None only)
    writer.width = WIDE
    buffer = io.StringIO()
    writer.dump(dict(document), buffer)
    return buffer.getvalue()

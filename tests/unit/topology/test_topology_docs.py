"""docs/topology.md says what every key holds, and nothing of keys that there are not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from harness.topology import schema

DOCS = Path(__file__).parents[3] / "docs/topology.md"
ROW = re.compile(r"^\| `([a-z0-9_.\[\]A-Z]+)` \|", re.MULTILINE)
EXPRESSIONS = {"nodes.NAME", "node", "databases.NAME", "secrets.NAME"}
CONSTRAINTS = {"node.role", "node.hostname", "node.labels.role", "node.labels.SERVICE"}


def key_paths(annotation: Any, prefix: str = "") -> Iterator[str]:
    """Every key that a file may have, ``NAME`` and ``[]`` standing for any name and item."""
    if get_origin(annotation) is Annotated:
        yield from key_paths(get_args(annotation)[0], prefix)
    elif get_origin(annotation) is dict:
        yield from key_paths(get_args(annotation)[1], f"{prefix}.NAME")
    elif get_origin(annotation) is list:
        yield from key_paths(get_args(annotation)[0], f"{prefix}[]")
    elif get_args(annotation):
        for each in get_args(annotation):
            yield from key_paths(each, prefix)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for key, inner in schema.keys(annotation).items():
            path = f"{prefix}.{key}" if prefix else key
            yield path
            yield from key_paths(inner, path)


def test_every_key_is_documented_and_no_other() -> None:
    """A key that is added, renamed or removed must be so in the reference too."""
    rows = set(ROW.findall(DOCS.read_text()))
    assert rows - EXPRESSIONS - CONSTRAINTS == set(key_paths(schema.RawTopology))


def test_the_walk_over_keys_finds_the_deep_ones() -> None:
    """Else the test above would be easy to please."""
    found = set(key_paths(schema.RawTopology))
    assert {
        "vpc.ip_range",
        "firewalls.NAME.inbound[].from",
        "checks.judge0.workers",
        "droplets.NAME.role",
    } <= found

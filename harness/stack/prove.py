"""Proof that a stack shows no secret, wherever it may have come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.stack import taint
from harness.stack.secrecy import url_forms
from harness.stack.service import ServiceContext

LONG = 8  # what is shorter may be part of a word by chance
REMEDY = (
    "let the program read it from its environment: name it under `environment:`, and write `$$NAME` where a "
    "shell runs the command"
)


def check_places(context: ServiceContext, body: Mapping[str, Any]) -> None:
    """Raise ``TopologyError`` where ``${NAME}`` brings a secret to a place where it would be visible."""
    for path, text in _texts(body, ""):
        if taint.is_secret(text):
            problem = "it holds a password, and everybody who may look at the swarm would see it"
            raise context.error(path, problem, REMEDY)


def check_values(context: ServiceContext, body: Mapping[str, Any], hidden: Mapping[str, str]) -> None:
    """Raise ``TopologyError`` where a secret value is written out. ``hidden``: values, and their names."""
    for value, name in hidden.items():
        for form in url_forms([value]):
            for path, text in _texts(body, "") if len(form) >= LONG else ():
                if form in text:
                    problem = f"what {name} holds, which is secret, is written out there"
                    raise context.error(path, problem, REMEDY)


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """All texts of a document with their places."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _texts(each, f"{path}[{number}]")

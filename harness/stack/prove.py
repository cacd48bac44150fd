"""Proof that a stack shows no secret, wherever it may have come from."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from harness.stack import taint
from harness.stack.model import Note
from harness.stack.secrecy import url_forms
from harness.stack.service import ServiceContext

LONG = 8  # what is shorter may be a word by chance
UNMISTAKABLE = 20  # what is shorter may be part of a longer word by chance
WORD = re.compile(r"[\w-]+")
# A variable of such a name holds what may be seen.
IDENTIFIER = re.compile(r"(?:USER(?:NAME)?|HOST(?:NAME)?|DB|DATABASE|NAME|SCHEMA)$", re.IGNORECASE)
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


def ordinary_words(contexts: Iterable[ServiceContext]) -> frozenset[str]:
    """Names of users, databases, hosts, images and services: a password that is one of them hides nothing."""
    found: set[str] = set()
    for context in contexts:
        found |= {context.name, context.title, *WORD.findall(str(context.body.get("image", "")))}
        environment = context.body.get("environment", {})
        found |= {
            taint.untainted(value) for name, value in environment.items() if value and IDENTIFIER.search(name)
        }
    return frozenset(found)


def weak(hidden: Mapping[str, str], words: Collection[str]) -> Iterator[Note]:
    """A note for each secret that is an ordinary word of the application. ``hidden`` as below."""
    for value, name in hidden.items():
        if value in words and len(value) >= LONG:
            what = "its value is also a name in the application, so anybody may guess it"
            yield Note(f"secrets: {name}", what, "where the same letters stand in sight, they are left there")


def check_values(
    context: ServiceContext, body: Mapping[str, Any], hidden: Mapping[str, str], words: Collection[str]
) -> None:
    """Raise ``TopologyError`` where a secret value is written out.

    ``hidden``: secret values, and their names; those among the ordinary ``words`` are not looked for.
    """
    for value, name in hidden.items():
        if value in words:
            continue
        for path, text in _texts(body, ""):
            if shows(text, [value]):
                problem = f"what {name} holds, which is secret, is written out there"
                raise context.error(path, problem, REMEDY)


def shows(text: str, values: Collection[str], *, shortest: int = LONG) -> bool:
    """Whether ``text`` has one of the secret ``values`` in it, as it is or as in a URL.

    Those of fewer letters than ``shortest`` are not looked for.

    A short one counts as a whole word only, or behind an option's letter (``-pPASSWORD``): ``password`` is no
    part of ``password-reset``.
    """
    return any(_has(text, form) for form in url_forms(values) if len(form) >= shortest)


def _has(text: str, form: str) -> bool:
    if len(form) >= UNMISTAKABLE:
        return form in text
    return re.search(rf"(?<![\w-])(?:-[A-Za-z])?{re.escape(form)}(?![\w-])", text) is not None


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

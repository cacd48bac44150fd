"""The variables of a container: ``env_file`` and ``environment``, and which of them are secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.stack import taint
from harness.stack.files import ENV, read_file
from harness.stack.model import Note
from harness.stack.secrecy import is_secret
from harness.stack.service import ServiceContext

SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Variables:
    """A container's variables: those that the stack's text shows, and those that it does not."""

    public: Mapping[str, str]
    secret: Mapping[str, str] = field(repr=False)
    notes: tuple[Note, ...] = ()


def variables(context: ServiceContext) -> Variables:
    """The container's environment: its files of variables are in it already."""
    notes = [
        context.note("env_file", f"{_shown(path)} is not there", "it is left out, as compose does")
        for path in _missing(context)
    ]
    found: dict[str, str] = {}
    for name, value in context.body.get("environment", {}).items():
        if value is not None:
            found[name] = value
        else:
            what = f"{name} has no value, here or in {ENV}"
            notes.append(context.note("environment", what, "it is left out, as compose does"))
    secret = {name: taint.untainted(value) for name, value in found.items() if _hidden(context, name, value)}
    public = {name: value for name, value in found.items() if name not in secret}
    _check_names(context, secret, public)
    return Variables(public, secret, tuple(notes))


def _missing(context: ServiceContext) -> list[str]:
    """Files of variables that need not be there, and are not."""
    files = context.file.project.env_files.get(context.name, ())
    return [each.path for each in files if not each.required and read_file(context, each.path) is None]


def _shown(path: str) -> str:
    return path.removeprefix("./")


def _hidden(context: ServiceContext, name: str, value: str) -> bool:
    return taint.is_secret(value) or is_secret(name, value, context.forms)


def _check_names(context: ServiceContext, secret: Mapping[str, str], public: Mapping[str, Any]) -> None:
    """A shell reads the secret ones, and passes on the others."""
    odd = [name for name in {**secret, **public} if secret and not SHELL_NAME.fullmatch(name)]
    if odd:
        problem = (
            f"no shell passes on a variable named `{odd[0]}`, and one starts this program: it has secrets"
        )
        raise context.error("environment", problem, "name it with letters, digits and '_' only")

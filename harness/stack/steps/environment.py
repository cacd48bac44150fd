"""The variables of a container: ``env_file`` and ``environment``, and which of them are secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.stack import taint, values
from harness.stack.files import ENV, read_file
from harness.stack.model import Note
from harness.stack.secrecy import is_secret
from harness.stack.service import ServiceContext
from harness.topology.rendering import dotenv

SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Variables:
    """A container's variables: those that the stack's text shows, and those that it does not."""

    public: Mapping[str, str]
    secret: Mapping[str, str] = field(repr=False)
    notes: tuple[Note, ...] = ()


def variables(context: ServiceContext) -> Variables:
    """The container's environment. Raises ``TopologyError`` for a file that does not exist."""
    found, notes = _from_files(context)
    for name, value in values.options(context, "environment", context.body.get("environment", {})).items():
        if value is not None:
            found[name] = value
        elif name in context.file.environment:
            found[name] = context.file.environment[name]
        else:
            what = f"{name} has no value, here or in {ENV}"
            notes.append(context.note("environment", what, "it is left out, as compose does"))
    secret = {name: taint.untainted(value) for name, value in found.items() if _hidden(context, name, value)}
    public = {name: value for name, value in found.items() if name not in secret}
    _check_names(context, secret, public)
    return Variables(public, secret, tuple(notes))


def _from_files(context: ServiceContext) -> tuple[dict[str, str], list[Note]]:
    found: dict[str, str] = {}
    notes: list[Note] = []
    given = context.body.get("env_file", [])
    for item in [given] if isinstance(given, str | dict) else values.items(context, "env_file", given):
        entry = values.section(context, "env_file", item) if isinstance(item, dict) else {"path": item}
        path = values.string(context, "env_file", entry.get("path", ""))
        read = _read(context, path, needed=values.boolean(context, "env_file", entry.get("required", True)))
        if read is None:
            notes.append(context.note("env_file", f"{path} is not there", "it is left out, as compose does"))
        else:
            found.update(read)
    return found, notes


def _read(context: ServiceContext, path: str, *, needed: bool) -> Mapping[str, str] | None:
    """A file's variables; ``.env`` is as the topology renders it. None: there is none, and none is needed."""
    if path.removeprefix("./") == ENV:
        return context.file.environment
    content = read_file(context, path)
    if content is None:
        if needed:
            raise context.error(
                "env_file", f"there is no {context.directory / path}", "correct the path, or add the file"
            )
        return None
    written = content.decode(errors="replace")
    try:
        names = dotenv.read(written, {})
        others = {name: value for name, value in context.file.environment.items() if name not in names}
        return {name: value for name, value in dotenv.read(written, others).items() if name in names}
    except ValueError as error:
        raise context.error("env_file", f"{path}: {error}", "write the value out") from error


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

"""The variables of a container: ``env_file`` and ``environment``, and which of them must not be seen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.stack import taint, values
from harness.stack.files import ENV, read_file
from harness.stack.model import Note
from harness.stack.secrecy import is_secret
from harness.stack.service import Job
from harness.topology.rendering import dotenv

SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Variables:
    """A container's variables: those to be seen in the stack's text, and those not."""

    public: Mapping[str, str]
    secret: Mapping[str, str] = field(repr=False)
    notes: tuple[Note, ...] = ()


def variables(job: Job) -> Variables:
    """What the container's environment is to hold. Raises ``TopologyError`` for a file that is not there."""
    found, notes = _from_files(job)
    for name, value in values.options(job, "environment", job.body.get("environment", {})).items():
        if value is not None:
            found[name] = value
        elif name in job.file.environment:
            found[name] = job.file.environment[name]
        else:
            what = f"{name} has no value, here or in {ENV}"
            notes.append(job.note("environment", what, "it is left out, as compose does"))
    secret = {name: taint.bare(value) for name, value in found.items() if _hidden(job, name, value)}
    public = {name: value for name, value in found.items() if name not in secret}
    _check_names(job, secret, public)
    return Variables(public, secret, tuple(notes))


def _from_files(job: Job) -> tuple[dict[str, str], list[Note]]:
    found: dict[str, str] = {}
    notes: list[Note] = []
    given = job.body.get("env_file", [])
    for item in [given] if isinstance(given, str | dict) else values.items(job, "env_file", given):
        entry = values.section(job, "env_file", item) if isinstance(item, dict) else {"path": item}
        path = values.text(job, "env_file", entry.get("path", ""))
        read = _read(job, path, needed=values.truth(job, "env_file", entry.get("required", True)))
        if read is None:
            notes.append(job.note("env_file", f"{path} is not there", "it is left out, as compose does"))
        else:
            found.update(read)
    return found, notes


def _read(job: Job, path: str, *, needed: bool) -> Mapping[str, str] | None:
    """A file's variables; ``.env`` is what the topology makes of it. None: not there, and not needed."""
    if path.removeprefix("./") == ENV:
        return job.file.environment
    content = read_file(job, path)
    if content is None:
        if needed:
            raise job.error(
                "env_file", f"there is no {job.directory / path}", "correct the path, or add the file"
            )
        return None
    written = content.decode(errors="replace")
    try:
        names = dotenv.read(written, {})
        others = {name: value for name, value in job.file.environment.items() if name not in names}
        return {name: value for name, value in dotenv.read(written, others).items() if name in names}
    except ValueError as error:
        raise job.error("env_file", f"{path}: {error}", "write the value out") from error


def _hidden(job: Job, name: str, value: str) -> bool:
    return taint.is_secret(value) or is_secret(name, value, job.forms)


def _check_names(job: Job, secret: Mapping[str, str], public: Mapping[str, Any]) -> None:
    """A shell reads the secret ones, and hands on the others."""
    odd = [name for name in {**secret, **public} if secret and not SHELL_NAME.fullmatch(name)]
    if odd:
        problem = (
            f"no shell hands on a variable named `{odd[0]}`, and one starts this program: it has secrets"
        )
        raise job.error("environment", problem, "name it with letters, digits and '_' only")

"""From compose files to contexts: which services there are, their names, and notes on the file."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from functools import reduce
from pathlib import Path

from harness.core.errors import TopologyError
from harness.stack import taint
from harness.stack.compose import ComposeFile, read
from harness.stack.model import Note, Source
from harness.stack.secrecy import secret_names, url_forms
from harness.stack.service import ServiceContext
from harness.stack.steps.ports import unclaimed
from harness.topology.model import StackService, Topology

UNMISTAKABLE = 6  # letters: a shorter value, such as true or 3600, is no sign of a password
TOP_LEVEL = ("version", "services", "networks", "volumes", "configs", "secrets", "include")
ENDS = "service_completed_successfully"


def read_source(source: Source, root: Path | None = None) -> ComposeFile:
    """A source's compose file, with secret values tainted. Raises ``TopologyError``.

    ``root`` is the application's directory.
    """
    secret = source.secret | secret_names(source.environment, ())
    tainted = {
        name: taint.secret(value) if name in secret else value for name, value in source.environment.items()
    }
    service = source.service
    return read(
        source.text,
        tainted,
        file=service.compose,
        root=root,
        files={**source.files, **_merged(source)},
        project=service.name,
        more=source.more,
    )


def _merged(source: Source) -> dict[str, str]:
    """What the topology merges into the compose file, with passwords tainted."""
    return {
        name: reduce(_tainted, source.passwords, source.files[name])
        for name in source.more
        if name in source.files
    }


def _tainted(text: str, password: str) -> str:
    """``text`` with the password tainted, as it is and as a compose file writes it."""
    for form in dict.fromkeys((json.dumps(password.replace("$", "$$"), ensure_ascii=False)[1:-1], password)):
        text = text.replace(form, taint.secret(form))
    return text


def service_contexts(
    topology: Topology, source: Source, file: ComposeFile, *, ipvs: bool
) -> list[ServiceContext]:
    """One for each service of the compose file that ``compose up`` would start. Raises ``TopologyError``."""
    if not file.started:
        problem, remedy = "all of its services have profiles", "take `profiles:` from one that is to run"
        raise TopologyError(problem, file=source.service.compose, field="services", remedy=remedy)
    forms = url_forms(file.passwords, shortest=UNMISTAKABLE)
    service = source.service.name
    contexts = [
        ServiceContext(topology, source, file, name, title, title == service, forms, ipvs)
        for name, title in titles(source.service, file.started).items()
    ]
    _check_meaning(contexts)
    _check_ends(contexts)
    return contexts


def _check_ends(contexts: Sequence[ServiceContext]) -> None:
    """A swarm has no services that end and are done: it would run them again, or never have converged."""
    for context in contexts:
        for name, how in context.body.get("depends_on", {}).items():
            if how.get("condition") == ENDS:
                problem = f"it waits until {name} has ended, and a swarm takes what has ended for lost"
                remedy = (
                    f"run {name} in the image's entry point, or have it as a compose project on a node "
                    "(plain `services:`)"
                )
                raise context.error("depends_on", problem, remedy)


def titles(service: StackService, names: Collection[str]) -> dict[str, str]:
    """The stack's names of a service's compose services: its own for the only one, or the one named so.

    What the topology adds changes no name of the application's.
    """
    own = [name for name in names if name not in service.changes.add]
    return {
        name: service.name if name == service.name or own == [name] else f"{service.name}-{name}"
        for name in names
    }


def _check_meaning(contexts: Sequence[ServiceContext]) -> None:
    """What the topology says of a service must be meant for one of its containers."""
    first = contexts[0]
    names = ", ".join(context.name for context in contexts)
    remedy = f"name one of them {first.service.name} in the compose file, or give each a file of its own"
    for port in unclaimed(contexts):
        raise first.topology_error("ports", f"{port}: none of {names} publishes it", remedy)
    if first.service.replicas != 1 and not any(context.main for context in contexts):
        raise first.topology_error("replicas", f"it could be meant for any of {names}", remedy)


def file_notes(source: Source, file: ComposeFile) -> Iterator[Note]:
    """Notes on what is in the file beside its services. Raises ``TopologyError`` for an unknown section."""
    name = source.service.name
    for variable in file.project.unset:
        yield Note(f"{name}: ${{{variable}}}", "it is not set", "nothing stands there, as in compose")
    for key in file.project.sections:
        if key.startswith("x-"):
            yield Note(f"{name}: {key}", "it says nothing to Docker", "it is left out; what merges it has it")
        elif key == "name":
            yield Note(f"{name}: name", "a stack has one name", "it is the topology's `stack`")
        elif key not in TOP_LEVEL:
            remedy = "write out what it brings in; `docker compose config` shows the whole"
            raise TopologyError(
                "a stack has no such section", file=source.service.compose, field=key, remedy=remedy
            )
    for each in file.services:
        if each not in file.started:
            where = f"{name}: services.{each}.profiles"
            yield Note(where, "`compose up` does not start it", "it is not in the stack")

"""What a container runs, with its variables, and how it is told what must not be seen.

Secret variables go into one file per service, which a swarm keeps encrypted and shows only to its tasks. A
shell reads it and then becomes the program.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from harness.stack import taint, values
from harness.stack.objects import file_part
from harness.stack.service import Job, Part, join
from harness.stack.steps.environment import Variables, variables
from harness.stack.steps.health import health

FILE = "environment"
READ = f"set -a; . /run/secrets/{FILE}; set +a"
WRAPPER = ("/bin/sh", "-c", f'{READ}; exec "$@"', "sh")


def program(job: Job) -> Part:
    """``environment``, ``entrypoint``, ``command``, ``healthcheck``, and the secret that they need.

    Raises ``TopologyError`` where there are secrets and it is not known what the image itself runs.
    """
    found = variables(job)
    body: dict[str, Any] = {"environment": _public(found)} if found.public else {}
    if not found.secret:
        return join([Part(body={**body, **_as_given(job)}, notes=found.notes), health(job, None)])
    return join(
        [
            Part(
                body={**body, **_wrapped(job)},
                notes=found.notes,
                hidden={value: name for name, value in found.secret.items()},
            ),
            file_part(job, "environment", _secret_file(found.secret), FILE, label=FILE, hidden=True),
            health(job, READ),
        ]
    )


def _public(found: Variables) -> dict[str, str]:
    return {name: templated(value) for name, value in found.public.items()}


def templated(value: str) -> str:
    """``value`` where a swarm expands Go's templates: what looks like one comes out as it is."""
    return value.replace("{{", '{{"{{"}}')


def _secret_file(secret: Mapping[str, str]) -> bytes:
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(secret.items())).encode()


def _as_given(job: Job) -> dict[str, Any]:
    """What the compose file says to run; nothing of it where the image knows."""
    entrypoint, command = _words(job, "entrypoint"), _words(job, "command")
    if entrypoint == []:
        return {"entrypoint": _instead_of_nothing(job, command)}
    given = {"entrypoint": entrypoint, "command": command}
    return {key: words for key, words in given.items() if words}


def _wrapped(job: Job) -> dict[str, Any]:
    entrypoint, command = _words(job, "entrypoint"), _words(job, "command")
    if entrypoint is None:
        whole = _of_image(job, command)
    elif entrypoint:
        whole = [*entrypoint, *(command or [])]
    else:
        whole = _instead_of_nothing(job, command)
    return {"entrypoint": list(WRAPPER), "command": whole}


def _of_image(job: Job, command: list[str] | None) -> list[str]:
    """The image's own entry point, and its own command unless the compose file has another."""
    source, key = job.source, "command"
    if not command and job.name in source.programs:
        return list(source.programs[job.name])
    if command and job.name in source.entrypoints:
        return [*source.entrypoints[job.name], *command]
    problem = "it has secrets, so a shell starts its program, and what the image runs by itself is not known"
    remedy = "say `entrypoint:` and `command:` in full, or have the image on this machine"
    raise job.error(key, problem, remedy)


def _instead_of_nothing(job: Job, command: list[str] | None) -> list[str]:
    """An empty ``entrypoint:`` takes the image's away, which a stack cannot: the command stands in for it."""
    if command:
        return command
    problem = "it is empty, and there is no `command:`"
    raise job.error("entrypoint", problem, "say what to run as `entrypoint:`")


def _words(job: Job, key: str) -> list[str] | None:
    """A command as its words, split as a shell would; None where there is none."""
    given = job.body.get(key)
    if given is None:
        return None
    if isinstance(given, list):
        return values.texts(job, key, given)
    written = values.text(job, key, given)
    if taint.is_secret(written):
        return [written]
    try:
        return shlex.split(written)
    except ValueError as error:
        raise job.error(key, f"its quotes do not match: {error}", "write it as a list of words") from error

"""What a container runs, with its variables, and how it gets those that are secret.

Secret variables go into one file per service, which a swarm keeps encrypted and shows only to its tasks. A
shell reads it and then executes the program.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from harness.stack import taint, values
from harness.stack.objects import file_fragment
from harness.stack.service import Fragment, ServiceContext, join
from harness.stack.steps.environment import Variables, variables
from harness.stack.steps.health import health

FILE = "environment"
READ = f"set -a; . /run/secrets/{FILE}; set +a"
WRAPPER = ("/bin/sh", "-c", f'{READ}; exec "$@"', "sh")


def program(context: ServiceContext) -> Fragment:
    """``environment``, ``entrypoint``, ``command``, ``healthcheck``, and the secret that they need.

    Raises ``TopologyError`` where there are secrets and it is not known what the image itself runs.
    """
    found = variables(context)
    body: dict[str, Any] = {"environment": _public(found)} if found.public else {}
    if not found.secret:
        return join([Fragment(body={**body, **_as_given(context)}, notes=found.notes), health(context, None)])
    return join(
        [
            Fragment(
                body={**body, **_wrapped(context)},
                notes=found.notes,
                hidden={value: name for name, value in found.secret.items()},
            ),
            file_fragment(context, "environment", _secret_file(found.secret), FILE, label=FILE, hidden=True),
            health(context, READ),
        ]
    )


def _public(found: Variables) -> dict[str, str]:
    return {name: templated(value) for name, value in found.public.items()}


def templated(value: str) -> str:
    """``value`` escaped for a place where a swarm expands Go's templates: it comes out as it is."""
    return value.replace("{{", '{{"{{"}}')


def _secret_file(secret: Mapping[str, str]) -> bytes:
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(secret.items())).encode()


def _as_given(context: ServiceContext) -> dict[str, Any]:
    """What the compose file says to run; nothing where the image's own command is meant."""
    entrypoint, command = _words(context, "entrypoint"), _words(context, "command")
    if entrypoint == []:
        return {"entrypoint": _instead_of_nothing(context, command)}
    given = {"entrypoint": entrypoint, "command": command}
    return {key: words for key, words in given.items() if words}


def _wrapped(context: ServiceContext) -> dict[str, Any]:
    entrypoint, command = _words(context, "entrypoint"), _words(context, "command")
    if entrypoint is None:
        whole = _of_image(context, command)
    elif entrypoint:
        whole = [*entrypoint, *(command or [])]
    else:
        whole = _instead_of_nothing(context, command)
    return {"entrypoint": list(WRAPPER), "command": whole}


def _of_image(context: ServiceContext, command: list[str] | None) -> list[str]:
    """The image's own entry point, and its own command unless the compose file has another."""
    source, key = context.source, "command"
    if not command and context.name in source.programs:
        return list(source.programs[context.name])
    if command and context.name in source.entrypoints:
        return [*source.entrypoints[context.name], *command]
    problem = "it has secrets, so a shell starts its program, and what the image runs by itself is not known"
    remedy = "say `entrypoint:` and `command:` in full, or have the image on this machine"
    raise context.error(key, problem, remedy)


def _instead_of_nothing(context: ServiceContext, command: list[str] | None) -> list[str]:
    """An empty ``entrypoint:`` removes the image's; a stack cannot: the command becomes the entry point."""
    if command:
        return command
    problem = "it is empty, and there is no `command:`"
    raise context.error("entrypoint", problem, "say what to run as `entrypoint:`")


def _words(context: ServiceContext, key: str) -> list[str] | None:
    """A command as its words, split as a shell would; None where there is none."""
    given = context.body.get(key)
    if given is None:
        return None
    if isinstance(given, list):
        return values.strings(context, key, given)
    written = values.string(context, key, given)
    if taint.is_secret(written):
        return [written]
    try:
        return shlex.split(written)
    except ValueError as error:
        raise context.error(
            key, f"its quotes do not match: {error}", "write it as a list of words"
        ) from error

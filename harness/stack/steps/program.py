"""What a container runs, with its variables, and how it gets those that are secret.

Secret variables go into one file per service, which a swarm keeps encrypted and shows only to its tasks. A
shell reads it and then executes the program.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from harness.stack import taint
from harness.stack.objects import file_fragment
from harness.stack.service import Fragment, ServiceContext, join
from harness.stack.steps.environment import Variables, variables
from harness.stack.steps.health import health

FILE = "environment"
Words = list[str] | str
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
            health(context, READ, tuple(found.secret.values())),
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
    entrypoint, command = context.body.get("entrypoint"), context.body.get("command")
    if entrypoint == []:
        return {"entrypoint": _instead_of_nothing(context, command)}
    if command == [] and not entrypoint:
        return {"entrypoint": _without_command(context)}
    given = {"entrypoint": entrypoint, "command": command}
    return {key: words for key, words in given.items() if words}


def _wrapped(context: ServiceContext) -> dict[str, Any]:
    entrypoint, command = context.body.get("entrypoint"), context.body.get("command")
    whole: Words
    if entrypoint is None:
        whole = _of_image(context, command)
    elif entrypoint:
        whole = [*entrypoint, *(command or [])]
    else:
        whole = _instead_of_nothing(context, command)
    return {"entrypoint": list(WRAPPER), "command": whole}


def _of_image(context: ServiceContext, command: list[str] | None) -> Words:
    """The image's own entry point, and its own command unless the compose file has another, or none."""
    source, key = context.source, "command"
    if command is None and context.name in source.programs:
        return _words(source.programs[context.name], [])
    if command is not None and context.name in source.entrypoints:
        return _words(source.entrypoints[context.name], command)
    problem = "it has secrets, so a shell starts its program, and what the image runs by itself is not known"
    remedy = "say `entrypoint:` and `command:` in full, or have the image on this machine"
    raise context.error(key, problem, remedy)


def _words(image: Sequence[str], command: Sequence[str]) -> Words:
    """Words as a list; as one text where what the image runs is to be filled in, which may be several."""
    if any(taint.deferred_names(each) for each in image):
        return " ".join([*image, *map(shlex.quote, command)])
    return [*image, *command]


def _without_command(context: ServiceContext) -> Words:
    """An empty ``command:`` removes the image's; in a stack the entry point alone does."""
    if found := context.source.entrypoints.get(context.name):
        return _words(found, [])
    problem = "it is empty, which takes the image's away, and what its entry point is is not known"
    raise context.error("command", problem, "say what to run as `entrypoint:`")


def _instead_of_nothing(context: ServiceContext, command: list[str] | None) -> list[str]:
    """An empty ``entrypoint:`` removes the image's; a stack cannot: the command becomes the entry point."""
    if command:
        return command
    problem = "it is empty, and there is no `command:`"
    raise context.error("entrypoint", problem, "say what to run as `entrypoint:`")

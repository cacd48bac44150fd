"""This machine's Docker engine, through its command line, which knows the user's context."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from typing import IO

from harness.errors import CommandError, EngineError

PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
UNREACHABLE = (
    "Cannot connect to the Docker daemon",
    "permission denied while trying to connect",
    "error during connect",
)


def docker(
    arguments: Sequence[str],
    *,
    deadline: float = 60.0,
    sink: IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run ``docker ARGUMENTS`` and return what it printed, or write it to ``sink`` and return "".

    Raises ``EngineError`` when there is no engine to talk to or it does not answer in ``deadline`` seconds,
    ``CommandError`` when the command fails.
    """
    argv = ["docker", *arguments]
    if shutil.which("docker") is None:
        raise EngineError(
            "there is no `docker` command here: install Docker, or name images that nodes can pull"
        )
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=sink or subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            timeout=deadline,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"docker {arguments[0]} did not end in {deadline:.0f} s") from error
    output = (done.stdout or b"").decode(errors="replace")
    if done.returncode:
        errors = done.stderr.decode(errors="replace")
        if any(sign in errors for sign in UNREACHABLE):
            raise EngineError(
                f"the Docker engine cannot be used: {errors.strip()}; start it, or join group `docker`"
            )
        raise CommandError(argv, done.returncode, output + errors)
    return output


def image_ids(references: Sequence[str]) -> dict[str, str]:
    """The ids of those of ``references`` that the engine has."""
    if not references:
        return {}
    wanted = sorted(set(references))
    try:
        lines = docker(["image", "inspect", "--format", "{{.Id}}", *wanted]).split()
        return dict(zip(wanted, lines, strict=True))
    except CommandError as error:
        if "No such image" not in error.output and "no such image" not in error.output:
            raise
    return _image_ids_one_by_one(wanted)


def _image_ids_one_by_one(references: Sequence[str]) -> dict[str, str]:
    found = {}
    for reference in references:
        try:
            found[reference] = docker(["image", "inspect", "--format", "{{.Id}}", reference]).strip()
        except CommandError as error:
            if "o such image" not in error.output:
                raise
    return found


def image_size(reference: str) -> int:
    """Bytes of an image that the engine has."""
    return int(docker(["image", "inspect", "--format", "{{.Size}}", reference]))


@cache
def builder_environment() -> Mapping[str, str]:
    """Environment for ``docker build``: the classic builder where BuildKit's command is not installed."""
    try:
        docker(["buildx", "version"])
    except CommandError:
        return {"DOCKER_BUILDKIT": "0"}
    return {}

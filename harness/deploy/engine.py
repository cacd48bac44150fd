"""This machine's Docker engine, through its command line, which uses the user's Docker context."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import IO

from harness.core import process
from harness.core.errors import CommandError, EngineError
from harness.core.wait import scaled

PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
UNREACHABLE = (
    "Cannot connect to the Docker daemon",
    "permission denied while trying to connect",
    "error during connect",
)

REPOSITORY = "wavetank-app"


@dataclass(frozen=True)
class Image:
    """An image as nodes will have it. ``id`` is "" for one that this machine does not have.

    ``size`` is in bytes, unpacked.
    """

    reference: str
    id: str
    size: int = 0

    @property
    def pinned(self) -> bool:
        """Whether the name alone says what is in it."""
        return self.reference.startswith(f"{REPOSITORY}/")


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
        done = process.run(
            argv,
            seconds=deadline,
            stdout=sink or subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"docker {arguments[0]} did not end in {scaled(deadline):.0f} s") from error
    output = done.stdout.decode(errors="replace")
    if done.returncode:
        errors = done.stderr.decode(errors="replace")
        if any(sign in errors for sign in UNREACHABLE):
            raise EngineError(
                f"the Docker engine cannot be used: {errors.strip()}; start it, or join group `docker`"
            )
        raise CommandError(argv, done.returncode, output + errors)
    return output


def local_images(references: Sequence[str]) -> dict[str, Image]:
    """Those of ``references`` that the engine has."""
    wanted = sorted(set(references))
    found = _inspect(wanted)
    if found is None:  # one of them is missing, and the answer does not say which
        found = [image for reference in wanted for image in _inspect([reference]) or ()]
    return {image.reference: image for image in found}


def _inspect(references: Sequence[str]) -> list[Image] | None:
    """The images, or None unless the engine has them all."""
    if not references:
        return []
    try:
        lines = docker(["image", "inspect", "--format", "{{.Id}} {{.Size}}", *references]).splitlines()
    except CommandError as error:
        if "no such image" not in error.output.lower():
            raise
        return None
    rows = [line.split() for line in lines]
    return [Image(name, found, int(size)) for name, (found, size) in zip(references, rows, strict=True)]


def programs(images: Sequence[Image]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """ENTRYPOINT and CMD of each image that is here, by reference."""
    here = [image.reference for image in images if image.id]
    if not here:
        return {}
    form = "{{json .Config.Entrypoint}}|{{json .Config.Cmd}}"
    lines = docker(["image", "inspect", "--format", form, *here]).splitlines()
    inspected = [[tuple(json.loads(part) or ()) for part in line.split("|", 1)] for line in lines]
    return {name: (entrypoint, command) for name, (entrypoint, command) in zip(here, inspected, strict=True)}


@cache
def builder_environment() -> Mapping[str, str]:
    """Environment for ``docker build``: the classic builder where BuildKit's command is not installed."""
    try:
        docker(["buildx", "version"])
    except CommandError:
        return {"DOCKER_BUILDKIT": "0"}
    return {}

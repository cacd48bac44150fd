"""Which Docker Compose reads compose files: the machine's own, or the one out of a droplet's image.

Reading takes no engine and no ``docker`` command, so the program is run by itself.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from harness.core import process
from harness.core.errors import CommandError, EngineError, MissingProgramError
from harness.core.paths import PROJECT, cache_dir

NAME = "docker-compose"
OLDEST = (2, 24)
VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")
VERSION_SECONDS = 30.0
EXTRACT_SECONDS = 3600.0  # the image may have to be built for it
# Where Docker's command line looks for plugins, in its order.
PLUGINS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/Applications/Docker.app/Contents/Resources/cli-plugins",
)
REMEDY = (
    "run `wavetank setup` (in a clone: `make setup`), which takes it out of a droplet's image, or install "
    "Docker's Compose plugin (docs.docker.com/compose/install)"
)
EXTRACT = "emulator.docker.compose"


@cache
def find() -> Path:
    """The program that reads compose files. Raises ``MissingProgramError`` with a remedy."""
    if found := next((path for path in (*_plugins(), *_cached(), *_standalone()) if _is_usable(path)), None):
        return found
    oldest = ".".join(map(str, OLDEST))
    raise MissingProgramError(f"docker compose {oldest} or later", REMEDY)


def ensure() -> Path:
    """As :func:`find`, but takes the program out of the droplet's image where there is none.

    The image is built if need be. Raises ``EngineError`` with the reason where that fails.
    """
    try:
        return find()
    except MissingProgramError:
        directory().mkdir(parents=True, exist_ok=True)
        _extract(directory())
    return find()


def directory() -> Path:
    """Where a program that was taken out of an image is kept, under ``docker-compose-VERSION``."""
    return cache_dir() / "compose"


def version_of(path: Path) -> tuple[int, int, int] | None:
    """The version of a program; None where it is no Docker Compose, or does not run."""
    try:
        done = process.run([str(path), "version", "--short"], seconds=VERSION_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else parse_version(done.stdout.decode(errors="replace"))


def parse_version(text: str) -> tuple[int, int, int] | None:
    """``2.26.1-4`` as (2, 26, 1); None for what is no version."""
    found = VERSION.match(text.strip())
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def _is_usable(path: Path) -> bool:
    found = version_of(path)
    return found is not None and found[:2] >= OLDEST


def _plugins() -> Iterator[Path]:
    config = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    for folder in (Path(config) / "cli-plugins", *map(Path, PLUGINS)):
        if os.access(folder / NAME, os.X_OK):
            yield folder / NAME


def _standalone() -> Iterator[Path]:
    """Last, for it may be version 1, which takes half a second to say so."""
    if found := shutil.which(NAME):
        yield Path(found)


def _cached() -> list[Path]:
    """The programs in the cache, the newest version first."""

    def version(path: Path) -> tuple[int, ...]:
        return parse_version(path.name.removeprefix(f"{NAME}-")) or ()

    return sorted(directory().glob(f"{NAME}-*"), key=version, reverse=True)


def _extract(target: Path, run: Callable[..., subprocess.CompletedProcess[bytes]] = process.run) -> None:
    """Have the emulator copy the program out of its image, as a process: the harness imports none of it."""
    argv = [sys.executable, "-m", EXTRACT, str(target)]
    try:
        done = run(argv, seconds=EXTRACT_SECONDS, cwd=PROJECT, stderr=None)
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"a droplet's image was not ready in {EXTRACT_SECONDS:.0f} s") from error
    if done.returncode:
        raise CommandError(argv, done.returncode, "no Docker Compose could be taken out of a droplet's image")
    find.cache_clear()

"""This project as the guest gets it, with the application's images as the deployer saved them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

from harness.compose import binary
from harness.core.errors import UsageError
from harness.core.paths import PROJECT

# At the top: what the guest does not need, or makes for itself. All else is copied as it is, modes and times
# included, for the names of images are hashes of such directories.
LEFT_OUT = (".*", "*.egg-info", "build", "dist", "htmlcov")
STATE = ".wavetank"
CACHE = ".cache"  # XDG_CACHE_HOME there
IMAGES = f"{CACHE}/wavetank/images"
COMPOSE = f"{CACHE}/wavetank/compose"


def stage(into: Path) -> None:
    """Copy the project to ``into``, which does not exist: what is edited from now on is the next run's."""
    shutil.copytree(PROJECT, into, ignore=_left_out, symlinks=True)


def add_images(project: Path, archives: Iterable[Path]) -> None:
    """Put the saved images where the deployer in ``project`` will look for them."""
    images = project / IMAGES
    images.mkdir(mode=0o700, parents=True)
    for file in archives:
        _link(file, images / file.name)


def add_compose(project: Path, program: Path) -> None:
    """Put the program that reads compose files where Wavetank in ``project`` looks for it."""
    version = ".".join(map(str, binary.version_of(program) or ()))
    target = project / COMPOSE / f"{binary.NAME}-{version}"
    target.parent.mkdir(mode=0o700, parents=True)
    shutil.copy2(program.resolve(), target)


def inside(path: Path, project: Path = PROJECT) -> str:
    """``path`` relative to the project. Raises ``UsageError`` for one that the guest would not have."""
    resolved = path.resolve()
    if not resolved.is_relative_to(project.resolve()):
        raise UsageError(f"{path} is not inside {project}, and only that is copied into the machine")
    return resolved.relative_to(project.resolve()).as_posix()


def _left_out(directory: str, names: list[str]) -> set[str]:
    at_the_top = Path(directory) == PROJECT
    return {name for name in names if at_the_top and any(fnmatch(name, pattern) for pattern in LEFT_OUT)}


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)

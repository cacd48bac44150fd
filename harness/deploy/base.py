"""The image that the reference application's Dockerfiles and those of ours begin with.

The emulator makes it when it starts. Where none did, as for a deployment on a cloud, it is made here.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection

from harness.core import process
from harness.core.errors import ResourceError
from harness.core.paths import PROJECT
from harness.core.progress import Progress
from harness.deploy.engine import local_images

NAME = "wavetank/base:latest"
SECONDS = 1800.0


def ensure(bases: Collection[str], progress: Progress) -> None:
    """Have the emulator build the base, as a process, if it is one of ``bases`` and is not here.

    Raises ``ResourceError`` where that fails; the process prints why.
    """
    if NAME not in bases or local_images([NAME]):
        return
    argv = [sys.executable, "-m", "emulator.docker.images", "base"]
    with progress.step(f"build {NAME}"):
        try:
            done = process.run(argv, seconds=SECONDS, cwd=PROJECT, stderr=None)
        except subprocess.TimeoutExpired as error:
            raise ResourceError("image", NAME, f"it was not built in {SECONDS:.0f} s") from error
    if done.returncode:
        raise ResourceError("image", NAME, "it could not be built")

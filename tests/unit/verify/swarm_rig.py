"""A droplet that is this machine: what the harness would run there over ssh is run here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

SHIMS = {"nsenter": 'shift\nexec "$@"', "docker": "echo /var/run/docker/netns/1"}


class Here:
    """Stands in for ``harness.access.ssh.Access``; entering a container's namespace does nothing."""

    def __init__(self, directory: Path) -> None:
        for name, script in SHIMS.items():
            (directory / name).write_text(f"#!/bin/sh\n{script}\n")
            (directory / name).chmod(0o755)
        self._environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}

    def run(self, node: str, script: str, *, stdin: bytes | None = None, deadline: float = 60.0) -> str:
        """What the script prints."""
        done = subprocess.run(
            ["sh", "-c", script],
            input=stdin,
            capture_output=True,
            env=self._environment,
            timeout=deadline,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def argv(self, node: str, command: Sequence[str]) -> list[str]:
        """The command itself."""
        return list(command)

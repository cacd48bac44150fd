"""Programs of this machine that Wavetank runs: checked to be installed before anything is created."""

from __future__ import annotations

import shutil

from harness.core.errors import MissingProgramError

REMEDIES = {
    "ssh": "install OpenSSH's client (Debian, Ubuntu: `apt-get install openssh-client`)",
    "docker": "install Docker's client (docs.docker.com/engine/install), or name images that nodes can pull",
    "zstd": "install zstd (Debian, Ubuntu: `apt-get install zstd`)",
}


def require(*names: str) -> None:
    """Raise ``MissingProgramError`` for the first of these programs that is not in ``PATH``."""
    for name in names:
        if shutil.which(name) is None:
            raise MissingProgramError(name, REMEDIES.get(name, "install it, or add its directory to PATH"))

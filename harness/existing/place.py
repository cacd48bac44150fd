"""Where a deployment of somebody else's has its reports: ``.wavetank/existing/LABEL``, and nothing of a run.

No key is made, no lock is taken, ``latest`` stays where it is: a later ``wavetank down`` must not mean this.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import UsageError
from harness.run.rundir import RunDir

TAG = re.compile(r"[A-Za-z0-9_:-]{1,255}")  # what DigitalOcean takes
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
SLUG = 15
PRIVATE = 0o077


@dataclass(frozen=True)
class ExistingDir(RunDir):
    """The directory for the deployment that ``tag`` holds together; ``key`` and ``user`` are for ssh."""

    tag: str = ""
    key: Path | None = None
    user: str = "root"

    @property
    def path(self) -> Path:
        return self.state_dir / "existing" / self.run

    @property
    def private_key(self) -> Path:
        return self.key or self.path / "no-key"

    @property
    def login(self) -> str:
        return self.user

    def create(self) -> None:
        """Make the directory (mode 0700); ``latest`` stays as it is."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def public_key(self) -> str:
        """None: the key is the user's own, and its other half is on the droplets already."""
        return ""


def existing_dir(state_dir: Path, tag: str, key: Path | None, user: str) -> ExistingDir:
    """The directory for a tag. Raises ``UsageError`` for what is no tag, no key or no user."""
    if not USER.fullmatch(user):
        raise UsageError(f"--ssh-user {user!r} is no user's name")
    return ExistingDir(state_dir, label(check_tag(tag)), tag, check_key(key) if key else None, user)


def label(tag: str) -> str:
    """What stands for a run's name where one is needed: the tag's letters, and a mark that no run has."""
    slug = "-".join(re.findall(r"[a-z0-9]+", tag.lower()))[:SLUG].strip("-")
    mark = hashlib.sha256(tag.lower().encode()).hexdigest()[:8]
    return f"{slug}-{mark}".strip("-")


def check_tag(tag: str) -> str:
    """Return ``tag`` if it can be one. Raises ``UsageError``."""
    if not TAG.fullmatch(tag):
        raise UsageError(
            f"--existing {tag!r} is no tag: take letters, digits, colons, dashes and underscores"
        )
    return tag


def check_key(key: Path) -> Path:
    """Return the path of a private key that ssh will take. Raises ``UsageError``."""
    try:
        head, mode = key.read_bytes()[:64], key.stat().st_mode
    except OSError as error:
        raise UsageError(f"--ssh-key {key}: {error.strerror}") from error
    if not head.startswith(b"-----BEGIN"):
        raise UsageError(f"--ssh-key {key} is no private key: name the file without .pub")
    if mode & PRIVATE:
        raise UsageError(f"--ssh-key {key} can be read by others, so that ssh refuses it: chmod 600 {key}")
    return key.resolve()

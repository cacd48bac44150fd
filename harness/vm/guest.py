"""Logging in to the guest: its host key and ours are made for one boot and known before it."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from harness.access.ssh import write_private
from harness.core.errors import CommandError, WaitTimeoutError

ALIAS = "wavetank-vm"


@dataclass(frozen=True)
class Keys:
    """Two pairs in OpenSSH's formats: the one we log in with, and the guest's host key."""

    login: bytes
    login_public: str
    host: bytes
    host_public: str

    def seed(self) -> dict[str, tuple[int, bytes]]:
        """The files of the guest's root that hold its part: path -> mode, content."""
        return {
            "root/.ssh/authorized_keys": (0o600, f"{self.login_public}\n".encode()),
            "etc/ssh/ssh_host_ed25519_key": (0o600, self.host),
            "etc/ssh/ssh_host_ed25519_key.pub": (0o644, f"{self.host_public}\n".encode()),
        }


def make_keys() -> Keys:
    """Fresh keys for one boot."""
    return Keys(*_pair(), *_pair())


class Guest:
    """Commands in the guest, over ssh to ``port`` on loopback. ``directory`` holds the key, mode 0600."""

    def __init__(self, directory: Path, keys: Keys, port: int) -> None:
        self._key, self._known = directory / "vm_ed25519", directory / "vm_known_hosts"
        self._port = port
        write_private(self._key, keys.login.decode())
        write_private(self._known, f"{ALIAS} {keys.host_public}\n")

    def argv(self, script: str) -> list[str]:
        """The command line that runs ``script`` there, also for a person to paste."""
        options = {
            "IdentityFile": self._key,
            "UserKnownHostsFile": self._known,
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": ALIAS,
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": 60,
            "ServerAliveInterval": 30,
            "ServerAliveCountMax": 20,
            "LogLevel": "ERROR",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", "-F", "/dev/null", *words, "-p", str(self._port), "root@127.0.0.1", "--", script]

    def run(self, script: str, *, deadline: float) -> str:
        """Run ``script`` and return what it printed. Raises ``CommandError``, ``WaitTimeoutError``."""
        argv = self.argv(script)
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=deadline, check=False
            )
        except subprocess.TimeoutExpired as error:
            message = (error.stderr or b"").decode(errors="replace").strip()
            raise WaitTimeoutError(
                f"a command in the guest: {script[:200]}", deadline, message or "nothing"
            ) from error
        output, errors = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if done.returncode:
            raise CommandError(["ssh", ALIAS, script], done.returncode, output + errors, where="the guest")
        return output

    def begin(self, argv: Sequence[str], *, directory: str, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start ``argv`` in ``directory`` there; both of its streams go to ``output``."""
        script = f"cd {shlex.quote(directory)} && exec {shlex.join(argv)}"
        return subprocess.Popen(
            self.argv(script), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )

    def fetch(self, paths: Sequence[str], directory: str, into: Path, *, deadline: float) -> None:
        """Copy those of ``paths`` (in ``directory`` there) that exist ``into`` a directory here."""
        pack = f"cd {shlex.quote(directory)} && ls -d {shlex.join(paths)} 2>/dev/null | tar -czf - -T -"
        with subprocess.Popen(self.argv(pack), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            unpack = ["tar", "-xzf", "-", "--no-same-owner", "-C", str(into)]
            try:
                subprocess.run(unpack, stdin=process.stdout, timeout=deadline, check=True)
            except subprocess.SubprocessError as error:
                process.kill()
                raise CommandError(unpack, 1, f"what the guest wrote could not be copied: {error}") from error


def _pair() -> tuple[bytes, str]:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, public.decode()

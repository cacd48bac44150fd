"""A run's own directory, ``.wavetank/runs/RUN``: its key, ssh configuration, logs and report.

It contains secrets, so only its owner can read it. The state of a deployment comes from the API, never from
here; without this directory a run can still be found, priced and deleted, but nobody can log in to its nodes.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.documents import read_bytes, read_object
from harness.core.errors import TopologyError

FACTS = ("target", "topology", "app", "endpoint", "ca_file", "proxy")


@dataclass(frozen=True)
class RunDir:
    """Paths of one run. ``state_dir`` is ``.wavetank`` of the project."""

    state_dir: Path
    run: str

    @property
    def path(self) -> Path:
        return self.state_dir / "runs" / self.run

    @property
    def private_key(self) -> Path:
        return self.path / "id_ed25519"

    @property
    def login(self) -> str:
        """The user name on the nodes."""
        return "root"

    @property
    def known_hosts(self) -> Path:
        return self.path / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        return self.path / "ssh_config"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def report(self) -> Path:
        return self.path / "report.json"

    @property
    def junit(self) -> Path:
        return self.path / "junit.xml"

    def create(self) -> None:
        """Create the directory (mode 0700) and point ``latest`` at it."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        latest = self.state_dir / "latest"
        fresh = self.state_dir / f".latest-{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("runs") / self.run)
        fresh.replace(latest)

    def public_key(self) -> str:
        """The run's SSH public key in OpenSSH's format, generated on first use."""
        from cryptography.exceptions import (
            UnsupportedAlgorithm,
        )  # every command loads this module, few need that
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if not os.path.lexists(self.private_key):
            key = Ed25519PrivateKey.generate()
            private = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            )
            descriptor = os.open(self.private_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(private)
        remedy = f"remove it and delete the run: `wavetank down --run {self.run}` needs no key"
        content = read_bytes(self.private_key, remedy=remedy)
        try:
            loaded = serialization.load_ssh_private_key(content, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            problem = f"is not an SSH private key, or has a passphrase: {error}"
            raise TopologyError(problem, file=self.private_key, remedy=remedy) from error
        public = loaded.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        return f"{public.decode()} wavetank-{self.run}"

    def remember(self, **facts: Any) -> None:
        """Merge ``facts`` into ``run.json`` (target, topology file, app directory, ...)."""
        text = json.dumps({**self.facts(), **facts}, indent=2, sort_keys=True)
        fresh = self.path / f".run-{os.getpid()}.json"
        fresh.write_text(text + "\n")
        fresh.replace(self.path / "run.json")

    def facts(self) -> dict[str, Any]:
        """What ``remember`` stored; empty for a run that was not created on this machine."""
        file = self.path / "run.json"
        if not os.path.lexists(file):
            return {}
        remedy = "remove it, and give --target and --topology"
        found = read_object(file, "a run's settings", remedy=remedy)
        wrong = [key for key in FACTS if not isinstance(found.get(key), str | None)]
        if not isinstance(found.get("operators", []), list):
            wrong.append("operators")
        if wrong:
            raise TopologyError("has the wrong type", file=file, field=wrong[0], remedy=remedy)
        return found

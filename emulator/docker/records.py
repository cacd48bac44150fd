"""What the fabric must know of each machine, on disk: one file a machine in the state directory.

Written before a machine is made and removed after it is gone, so that whoever finds the machine again (a
restarted server, a new fabric) can wire it. The engine's labels cannot hold this: they never change.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from emulator.docker.fabric.links import Machine
from emulator.planes.base import PlaneError


class Records:
    """Machines by ref, one JSON file each, readable by their owner only."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / "machines"

    def all(self) -> list[Machine]:
        """Every machine on record. Raises ``PlaneError`` for a file that cannot be understood."""
        return [self._read(path) for path in sorted(self._directory.glob("*.json"))]

    def get(self, ref: str) -> Machine | None:
        """One machine, or None."""
        path = self._path(ref)
        return self._read(path) if path.exists() else None

    def put(self, machine: Machine) -> None:
        """Write a machine down, whole or not at all."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(machine.ref)
        temporary = path.with_suffix(".new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(machine.to_json(), file)
        temporary.replace(path)

    def forget(self, ref: str) -> None:
        """Remove a machine's record, if there is one."""
        self._path(ref).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all records."""
        for path in self._directory.glob("*"):
            path.unlink(missing_ok=True)
        if self._directory.exists():
            self._directory.rmdir()

    def _path(self, ref: str) -> Path:
        return self._directory / f"{ref.replace(':', '-')}.json"

    def _read(self, path: Path) -> Machine:
        try:
            return Machine.from_json(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            remedy = "destroy the machine, or remove the file and destroy the emulator"
            raise PlaneError(f"{path} is not a machine's record ({error}); {remedy}") from error

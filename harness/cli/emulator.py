"""``wavetank emulator``: start, stop and look at the emulated DigitalOcean."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.run.settings import STATE_DIR

if TYPE_CHECKING:
    from harness.target.emulator_process import EmulatorStatus

state_dir = click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default=STATE_DIR,
    show_default=True,
    help="The project's state; the emulator keeps its own in the directory `emulator` there.",
)


@click.group()
def emulator() -> None:
    """Start, stop and look at the emulated DigitalOcean of this directory."""


@emulator.command()
@state_dir
@options.output
def start(state_dir: Path, output: str) -> int:
    """Start the emulator, if it does not run, and say where it is."""
    from harness.core.progress import Progress
    from harness.target import emulator_process

    return _tell(emulator_process.start(state_dir, Progress()), output)


@emulator.command()
@state_dir
@click.option("--destroy", is_flag=True, help="Also remove every machine in it and forget them.")
def stop(state_dir: Path, destroy: bool) -> int:
    """Stop the emulator. Its machines run on, and are found again, unless --destroy."""
    from harness.target import emulator_process

    emulator_process.stop(state_dir, destroy=destroy)
    return 0


@emulator.command()
@state_dir
@options.output
def status(state_dir: Path, output: str) -> int:
    """Say whether the emulator runs and where; exit 1 if it does not."""
    from harness.target import emulator_process

    return _tell(emulator_process.status(state_dir), output)


def _tell(found: EmulatorStatus | None, output: str) -> int:
    if found is None:
        options.show({"running": False}, "the emulator does not run", output)
        return 1
    facts = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(found).items()}
    facts.pop("token")
    text = "\n".join(("the emulator runs", *(f"  {key}: {value}" for key, value in facts.items())))
    options.show({"running": True, **facts}, text, output)
    return 0

"""``wavetank emulator``: start, stop and show the emulated DigitalOcean."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.core.names import DROPLET_SYSTEMS
from harness.run.settings import STATE_DIR

if TYPE_CHECKING:
    from harness.target.emulator_process import EmulatorStatus

state_dir = click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default=STATE_DIR,
    show_default=True,
    help="State directory of the project; the emulator uses its subdirectory `emulator`.",
)


@click.group()
def emulator() -> None:
    """Start, stop and show the emulated DigitalOcean of this directory."""


@emulator.command()
@state_dir
@click.option(
    "--droplets",
    type=click.Choice(DROPLET_SYSTEMS),
    help="What is in its droplets. ubuntu-24.04 is pulled from Docker Hub.  [default: debian-13]",
)
@click.option(
    "--rate-limit",
    is_flag=True,
    help="Answer 429 after 250 requests a minute or 5000 an hour, as DigitalOcean does.",
)
@options.output
def start(state_dir: Path, droplets: str | None, rate_limit: bool, output: str) -> int:
    """Start the emulator if it is not running, and show its address."""
    from harness.core.progress import Progress
    from harness.target import emulator_process

    found = emulator_process.start(state_dir, Progress(), droplets=droplets, rate_limit=rate_limit)
    return _show(found, output)


@emulator.command()
@state_dir
@click.option("--destroy", is_flag=True, help="Also delete all its machines and its state.")
def stop(state_dir: Path, destroy: bool) -> int:
    """Stop the emulator. Unless --destroy, its machines keep running and are found at the next start."""
    from harness.target import emulator_process

    emulator_process.stop(state_dir, destroy=destroy)
    return 0


@emulator.command()
@state_dir
@options.output
def status(state_dir: Path, output: str) -> int:
    """Show whether the emulator is running, and its address; exit 1 if it is not."""
    from harness.target import emulator_process

    return _show(emulator_process.status(state_dir), output)


def _show(found: EmulatorStatus | None, output: str) -> int:
    if found is None:
        options.show({"running": False}, "the emulator is not running", output)
        return 1
    facts = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(found).items()}
    facts.pop("token")
    text = "\n".join(("the emulator is running", *(f"  {key}: {value}" for key, value in facts.items())))
    options.show({"running": True, **facts}, text, output)
    return 0

"""``python -m harness.vm``: run a topology in a virtual machine with a kernel that lacks nothing.

Exit codes are those of ``wavetank run``, which runs in there: 0 pass, 1 a check failed, 2 inconclusive,
3 something could not be made or reached, 4 wrong usage, 128 and its number: stopped by a signal.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import click

from harness.cli import options
from harness.core import signals
from harness.core.errors import UsageError, WavetankError
from harness.core.progress import Progress
from harness.core.signals import Stopped
from harness.run.settings import STATE_DIR
from harness.vm.flow import CHECKS, Order, run

TIMES = click.FloatRange(1)
HOURS = click.FloatRange(0, min_open=True)


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--topology", default="swarm", show_default=True, help="A name of topologies/, or a file.")
@click.option("--state-dir", type=click.Path(path_type=Path), default=STATE_DIR, show_default=True)
@click.option("--cpus", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--memory", type=click.IntRange(2048), default=12288, show_default=True, help="In MiB.")
@click.option(
    "--patience", type=TIMES, default=20.0, show_default=True, help="Factor for all timeouts in the guest."
)
@click.option("--hours", type=HOURS, default=4.0, show_default=True, help="Time limit of the run, in hours.")
@click.option("-k", "keyword", metavar="EXPRESSION", default=CHECKS, show_default=True, help="As `verify`'s.")
@options.faults
@click.argument("command", nargs=-1)
def main(topology: str, state_dir: Path, command: tuple[str, ...], **machine: Any) -> int:
    """Make the machine and run it; COMMAND, if given, runs there instead of ``wavetank run``."""
    return run(Order(topology, state_dir.resolve(), command=command, **machine), Progress())


def entry(arguments: list[str]) -> int:
    """Run one command line and return its exit code; every error was printed to stderr."""
    try:
        signals.install()
        result = main.main(arguments, prog_name="python -m harness.vm", standalone_mode=False)
    except (Stopped, click.Abort) as error:  # click makes an Abort of every interruption
        stopped = error if isinstance(error, Stopped) else error.__cause__
        number = stopped.signum if isinstance(stopped, Stopped) else int(signal.SIGINT)
        return _print(f"stopped by {signals.name_of(number)}", 128 + number)
    except click.ClickException as error:
        error.show()
        return UsageError.exit_code
    except WavetankError as error:
        return _print(str(error), error.exit_code)
    return result if isinstance(result, int) else 0


def _print(text: str, code: int) -> int:
    click.echo(f"wavetank: {text}", err=True)
    return code


if __name__ == "__main__":
    sys.exit(entry(sys.argv[1:]))

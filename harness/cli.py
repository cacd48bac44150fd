"""``wavetank``: the command line, and the one place where an error becomes a message and an exit code.

0 pass · 1 a check failed · 2 inconclusive · 3 could not provision or reach · 4 wrong usage or input ·
130 and 143 stopped by SIGINT and SIGTERM, after cleaning up.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import click

from harness import lease
from harness.commands import COMMANDS
from harness.errors import CheckError, InconclusiveError, WavetankError

USAGE = 4
UNREACHABLE = 3


class Stopped(KeyboardInterrupt):
    """A signal asked us to stop; ``with`` and ``except`` blocks clean up on its way out."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wavetank")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Stand a DigitalOcean deployment plan up, prove it, and take it down.

    Works on an emulated DigitalOcean on this machine (--target local) and on the real one (--target do).
    Exit codes: 0 pass, 1 a check failed, 2 inconclusive, 3 could not provision or reach, 4 wrong usage.
    """
    if debug:
        os.environ["WAVETANK_DEBUG"] = "1"


for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Entry point of the ``wavetank`` script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every error has been told on stderr."""
    _stop_on_signals()
    try:
        result = cli.main(list(arguments), prog_name="wavetank", standalone_mode=False)
    except click.Abort as error:
        return _stopped(error.__cause__)
    except KeyboardInterrupt as error:
        return _stopped(error)
    except click.ClickException as error:
        error.show()
        return USAGE
    except WavetankError as error:
        return _tell(error, error.exit_code)
    except CheckError as error:
        return _tell(error, 2 if isinstance(error, InconclusiveError) else 1)
    finally:
        lease.end()
    return result if isinstance(result, int) else 0


def _tell(error: Exception, code: int) -> int:
    if os.environ.get("WAVETANK_DEBUG"):
        traceback.print_exception(error)
    else:
        click.echo(f"wavetank: {error}", err=True)
    return code


def _stopped(cause: BaseException | None) -> int:
    signum = cause.signum if isinstance(cause, Stopped) else signal.SIGINT
    lease.end(seconds=lease.INTERRUPTED_SECONDS)
    click.echo(f"wavetank: stopped by {signal.Signals(signum).name}", err=True)
    return 128 + signum


def _stop_on_signals() -> None:
    def stop(signum: int, _frame: FrameType | None) -> None:
        raise Stopped(signum)

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stop)


if __name__ == "__main__":
    main()

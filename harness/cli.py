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
    except SystemExit as error:  # click's own way out where nobody reads our output any more
        return 128 + signal.SIGPIPE if isinstance(error.__context__, BrokenPipeError) else UNREACHABLE
    except Exception as error:  # noqa: BLE001 (whatever it is, it is no check that failed)
        return _failed(error)
    return result if isinstance(result, int) else 0


def _failed(error: Exception) -> int:
    if isinstance(error, click.ClickException):
        error.show()
        return USAGE
    if isinstance(error, WavetankError):
        return _tell(error, error.exit_code)
    if isinstance(error, CheckError):
        return _tell(error, 2 if isinstance(error, InconclusiveError) else 1)
    return _apologise(error)


def _tell(error: Exception, code: int, cause: Exception | None = None) -> int:
    if os.environ.get("WAVETANK_DEBUG"):
        traceback.print_exception(cause or error)
    else:
        click.echo(f"wavetank: {error}", err=True)
    return code


def _apologise(error: Exception) -> int:
    """An error that nobody foresaw: what it was, and where more of it is."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return _tell(WavetankError(f"{error.filename}: {error.strerror}"), UNREACHABLE, error)
    import tempfile

    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="wavetank-", suffix=".log", delete=False) as log:
            log.write(text)
    except OSError:
        click.echo(text, err=True)
        where = "above"
    else:
        where = f"in {log.name}"
    problem = f"{type(error).__name__}: {error}"[:300]
    sorry = f"sorry, this is a mistake of Wavetank's own ({problem}); the traceback is {where}"
    return _tell(WavetankError(sorry), UNREACHABLE, error)


def _stopped(cause: BaseException | None) -> int:
    signum = cause.signum if isinstance(cause, Stopped) else signal.SIGINT
    click.echo(f"wavetank: stopped by {signal.Signals(signum).name}", err=True)
    return 128 + signum


def _stop_on_signals() -> None:
    def stop(signum: int, _frame: FrameType | None) -> None:
        raise Stopped(signum)

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stop)


if __name__ == "__main__":
    main()

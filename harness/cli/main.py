"""``wavetank``: the command line, and the one place where an error becomes a message and an exit code.

0 pass · 1 a check failed · 2 inconclusive · 3 could not provision or reach · 4 wrong usage or input ·
129, 130 and 143 stopped by SIGHUP, SIGINT and SIGTERM, after cleaning up.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence

import click

from harness.cli import COMMANDS
from harness.core import process, signals
from harness.core.errors import CheckError, InconclusiveError, WavetankError
from harness.core.signals import Stopped
from harness.run import lease

USAGE = 4
UNREACHABLE = 3
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # a write that fails with these names no file


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wavetank")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Deploy a DigitalOcean topology, test it, and delete it.

    Works on an emulated DigitalOcean on this machine (--target local) and on the real one (--target do).
    Exit codes: 0 pass, 1 a check failed, 2 inconclusive, 3 could not provision or reach, 4 wrong usage.
    """
    if debug:
        os.environ["WAVETANK_DEBUG"] = "1"


for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Entry point of the ``wavetank`` script."""
    signals.exit_process(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every error has been printed on stderr."""
    try:
        signals.install()
        return _run(arguments)
    except KeyboardInterrupt as error:  # while an error was printed
        return _stopped(error)
    finally:
        process.end_all()


def _run(arguments: Sequence[str]) -> int:
    try:
        result = cli.main(list(arguments), prog_name="wavetank", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt) as error:
        return _stopped(error.__cause__ if isinstance(error, click.Abort) else error)
    except SystemExit as error:  # click's own exit where nobody reads our output any more
        return 128 + signal.SIGPIPE if isinstance(error.__context__, BrokenPipeError) else UNREACHABLE
    except Exception as error:  # noqa: BLE001 (whatever it is, it is not a failed check)
        return _failed(error)
    finally:
        lease.end()
    return result if isinstance(result, int) else 0


def _failed(error: Exception) -> int:
    if isinstance(error, click.ClickException):
        error.show()
        return USAGE
    if isinstance(error, WavetankError):
        return _print(error, error.exit_code)
    if isinstance(error, CheckError):
        return _print(error, 2 if isinstance(error, InconclusiveError) else 1)
    return _print_unexpected(error)


def _print(error: Exception, code: int, cause: Exception | None = None) -> int:
    if os.environ.get("WAVETANK_DEBUG"):
        traceback.print_exception(cause or error)
    else:
        click.echo(f"wavetank: {error}", err=True)
    return code


def _print_unexpected(error: Exception) -> int:
    """Print an error that nobody foresaw, and where its traceback is."""
    if isinstance(error, OSError) and error.strerror and (error.filename or error.errno in FULL):
        where = f"{error.filename}: " if error.filename else ""
        return _print(WavetankError(f"{where}{error.strerror}"), UNREACHABLE, error)
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
    sorry = f"sorry, this is a bug in Wavetank ({problem}); the traceback is {where}"
    return _print(WavetankError(sorry), UNREACHABLE, error)


def _stopped(cause: BaseException | None) -> int:
    signum = cause.signum if isinstance(cause, Stopped) else int(signal.SIGINT)
    signals.write_stderr(f"wavetank: stopped by {signals.name_of(signum)}")
    lease.end(seconds=lease.INTERRUPTED_SECONDS)
    return 128 + signum


if __name__ == "__main__":
    main()

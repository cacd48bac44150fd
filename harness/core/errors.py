"""All errors that Wavetank raises on purpose.

* WavetankError               exit code 3: could not provision or reach
  * UsageError                exit code 4: wrong usage or input
    * TopologyError           a topology (or compose) file is wrong: file, line, field, remedy
      * TopologyErrors        several things are wrong with it: all of them in one report
    * CredentialsError        a token or key is missing or refused
  * ApiError                  the DigitalOcean API answered with an error, or not at all
  * ResourceError             one named resource could not be made, changed or removed
  * CommandError              a command, here or on a node, failed: the command and its output
  * WaitTimeoutError          a deadline passed: what was awaited and what was observed last
  * EngineError               the local engine or emulator cannot be used
  * MissingProgramError       a program that is needed is not installed on this machine
* CheckError
  * CheckFailedError          exit code 1
  * InconclusiveError         exit code 2: the measurement is in doubt
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path


class WavetankError(Exception):
    """Base of all errors that end a command with a message instead of a traceback."""

    exit_code = 3


class UsageError(WavetankError):
    """Wrong usage or wrong input; nothing was changed."""

    exit_code = 4


class TopologyError(UsageError):
    """A file of the user is wrong. Names the place, the problem and the remedy."""

    def __init__(
        self, problem: str, *, file: Path | str, line: int | None = None, field: str = "", remedy: str = ""
    ) -> None:
        self.problem, self.file, self.line, self.field, self.remedy = problem, str(file), line, field, remedy
        where = f"{file}:{line}" if line is not None else str(file)
        text = f"{where}: {field + ': ' if field else ''}{problem}"
        super().__init__(f"{text}\n  remedy: {remedy}" if remedy else text)


class TopologyErrors(TopologyError):  # noqa: N818 (it is several)
    """Several things are wrong with a file. ``errors`` holds all; the rest is the first one's."""

    def __init__(self, errors: Sequence[TopologyError]) -> None:
        first = errors[0]
        super().__init__(
            first.problem, file=first.file, line=first.line, field=first.field, remedy=first.remedy
        )
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


class CredentialsError(UsageError):
    """A token or key is missing or was refused."""


class ApiError(WavetankError):
    """The DigitalOcean API refused a request or could not be reached.

    ``status`` is the HTTP status (0: no answer), ``id`` and ``message`` are the error body's.
    """

    def __init__(self, request: str, status: int, id: str, message: str) -> None:  # noqa: A002 (the API's own name)
        self.request, self.status, self.id, self.message = request, status, id, message
        super().__init__(f"{request}: {status or 'no answer'} {id}: {message}")


class ResourceError(WavetankError):
    """One resource could not be made, changed or removed."""

    def __init__(self, kind: str, name: str, problem: str) -> None:
        self.kind, self.name, self.problem = kind, name, problem
        super().__init__(f"{kind} {name!r}: {problem}")


class CommandError(WavetankError):
    """A command failed. Has the command, ready to paste, and its output."""

    def __init__(self, argv: Sequence[str], returncode: int, output: str, *, where: str = "") -> None:
        self.argv, self.returncode, self.output, self.where = list(argv), returncode, output, where
        place = f" on {where}" if where else ""
        super().__init__(f"exit {returncode}{place}: {shlex.join(argv)}\n{output.strip()[-4000:]}")


class WaitTimeoutError(WavetankError):
    """A deadline passed."""

    def __init__(self, awaited: str, seconds: float, last_seen: str) -> None:
        self.awaited, self.seconds, self.last_seen = awaited, seconds, last_seen
        super().__init__(f"waited {seconds:.0f} s for {awaited}; last observed: {last_seen}")


class EngineError(WavetankError):
    """The Docker engine or the emulator on this machine cannot be used."""


class MissingProgramError(WavetankError):
    """A program that is needed on this machine is not installed."""

    def __init__(self, name: str, remedy: str) -> None:
        self.name, self.remedy = name, remedy
        super().__init__(f"the command `{name}` is not installed\n  remedy: {remedy}")


class CheckError(Exception):
    """Base of what a check raises when it does not pass."""


class CheckFailedError(CheckError, AssertionError):
    """The check failed."""


class InconclusiveError(CheckError):
    """The measurement is in doubt, so the result is neither pass nor fail."""

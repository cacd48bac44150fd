"""Run one command here, with a deadline, and an error that carries its output."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.core.errors import CommandError, EngineError, WaitTimeoutError


def run(
    argv: Sequence[str],
    *,
    deadline: float,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> str:
    """Run ``argv``, in ``directory`` if one is named, and return what it printed. ``deadline`` is seconds.

    Raises ``CommandError``, ``WaitTimeoutError``, and ``EngineError`` for a program that is not there.
    """
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=deadline,
            env=environment,
            cwd=directory,
            check=False,
        )
    except FileNotFoundError as error:
        raise EngineError(f"there is no {argv[0]!r} here: run `harness/setup.sh --vm`") from error
    except subprocess.TimeoutExpired as error:
        message = error.stderr or b""
        last = (message.decode(errors="replace") if isinstance(message, bytes) else message).strip()
        raise WaitTimeoutError(f"{argv[0]} to end", deadline, last[-500:] or "nothing") from error
    if done.returncode:
        raise CommandError(argv, done.returncode, done.stdout + done.stderr)
    return done.stdout

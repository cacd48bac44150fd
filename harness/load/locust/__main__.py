"""A worker on another machine: ``python -m harness.load.locust HOST:PORT``, the master's address.

It serves one run after the other until it is interrupted.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress

from harness.core.errors import UsageError, WavetankError
from harness.load.locust.master_address import host_port
from harness.load.locust.processes import argv, environment
from harness.load.locust.running import Team, check_team

PAUSE_SECONDS = 1.0


def main(arguments: list[str]) -> int:
    """Serve until interrupted. Returns the exit code."""
    try:
        if len(arguments) != 1:
            raise UsageError("python -m harness.load.locust HOST:PORT: give the address of the master")
        host, port = host_port(arguments[0])
        check_team(Team(0, 1, host, port))
    except WavetankError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    with suppress(KeyboardInterrupt):
        serve(host, port)
    return 0


def serve(host: str, port: int) -> None:
    """One run after the other."""
    command = argv(
        ("--worker", "--master-host", host, "--master-port", str(port), "--exit-code-on-error", "0")
    )
    while True:
        subprocess.run(command, env=environment(), cwd="/", stdin=subprocess.DEVNULL, check=False)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Run a program, and raise its output when it fails."""

from __future__ import annotations

import ctypes
import os
import shlex
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

RUN = Path("/run/wavetank")
READY = RUN / "ready"  # there once the network is made, and proved to filter
FABRIC = "fabric"
CLONE_NEWNET = 0x40000000


class FabricError(Exception):
    """Something in the fabric failed; the text is for the emulator's user."""


def run(*argv: str, stdin: str = "", seconds: float = 20) -> str:
    """Return what a program printed. Raises ``FabricError`` with the command and its output.

    It may take ``seconds``, times the machine's timeout scale.
    """
    seconds *= float(os.environ.get("WT_TIMEOUT_SCALE", "1"))
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=seconds)
    except FileNotFoundError as error:
        raise FabricError(
            f"{argv[0]} is missing from the fabric's image; run `python -m emulator images --force`"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise FabricError(f"{shlex.join(argv)}: no end after {seconds:.0f} s") from error
    if done.returncode:
        shown = f"\nwith input:\n{_numbered(stdin)}" if stdin else ""
        raise FabricError(f"{shlex.join(argv)}: exit {done.returncode}: {done.stderr.strip()}{shown}")
    return done.stdout


def _numbered(text: str) -> str:
    lines = text.splitlines()[:60]
    return "\n".join(f"{number:4} {line}" for number, line in enumerate(lines, 1))


def ip_batch(lines: Sequence[str], *, inside: Sequence[str] = ()) -> None:
    """Run ``ip`` commands in one process, in the namespace that the prefix ``inside`` enters."""
    run(*inside, "ip", "-batch", "-", stdin="".join(f"{line}\n" for line in lines))


def socket_in(namespace: str, kind: socket.SocketKind) -> socket.socket:
    """An IPv4 socket that lives in a named network namespace."""
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def work() -> None:
        # Only this thread changes its namespace, and it ends here.
        try:
            handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
            try:
                enter(handle)
                made.append(socket.socket(socket.AF_INET, kind))
            finally:
                os.close(handle)
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if failed:
        raise FabricError(f"cannot open a socket in the namespace {namespace}: {failed[0]}")
    return made[0]


def enter(handle: int) -> None:
    """Move this thread into the network namespace behind a file descriptor. Raises ``OSError``."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")

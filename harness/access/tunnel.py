"""A tunnel to an address that only a node can reach: ssh forwards a local socket through that node."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from harness.access.ssh import Access
from harness.core import process
from harness.core.errors import CommandError

SECONDS = 20


@contextmanager
def tunnel(access: Access, node: str, host: str, port: int) -> Iterator[Path]:
    """Yield a local unix socket that ``node`` forwards to ``host:port``. Raises ``CommandError``.

    It uses the shared connection to the node; the socket is removed at the end of the block.
    """
    access.run(node, "true")
    with tempfile.TemporaryDirectory(prefix="wt-") as directory:
        socket = Path(directory) / "tunnel"
        forwarding = ("-L", f"{socket}:{host}:{port}")
        _control_master(access, "forward", forwarding, node)
        try:
            yield socket
        finally:
            with suppress(CommandError):  # the connection may have ended, as when the node lost its power
                _control_master(access, "cancel", forwarding, node)


def over_socket(socket: Path) -> httpx.Client:
    """An HTTP client for the server behind a unix socket."""
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://judge0", timeout=30)


def _control_master(access: Access, order: str, forwarding: tuple[str, ...], node: str) -> None:
    argv = ["ssh", "-F", str(access.run_dir.ssh_config), "-O", order, *forwarding, node]
    done = process.run(argv, seconds=SECONDS)
    if done.returncode:
        raise CommandError(argv, done.returncode, (done.stdout + done.stderr).decode(errors="replace"))

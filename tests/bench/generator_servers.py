"""The two servers that load generators are measured on: nginx, and one whose latency is known.

``python -m tests.bench.generator_servers`` is the second: it answers each request after a delay of its own,
whoever asks, so that all generators with as many connections must see the same percentiles.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from harness.core.errors import CommandError, UsageError
from harness.core.wait import NotYet, wait_for

READY = 15.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# Delays are 4 to 24 ms, taken in an order that spreads any few hundred in a row evenly over all of them
# (a Weyl sequence of the golden ratio): so percentiles do not depend on chance.
LEAST, SPREAD, GOLDEN = 0.004, 0.020, 0.6180339887498949
NGINX = """
daemon off; master_process off; pid {directory}/pid; error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path {directory}/a; proxy_temp_path {directory}/b; fastcgi_temp_path {directory}/c;
  uwsgi_temp_path {directory}/d; scgi_temp_path {directory}/e;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "ok"; }} }}
}}
"""


@contextmanager
def nginx(directory: Path, cpu: Sequence[str]) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Port and process of an nginx that answers at once. ``cpu`` is put before its command."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program:
        raise UsageError(
            "the generator is measured on nginx, which is not installed: apt-get install nginx-light"
        )
    port = free_port()
    file = directory / "nginx.conf"
    file.write_text(NGINX.format(directory=directory, port=port))
    with _running([*cpu, program, "-e", "stderr", "-p", str(directory), "-c", str(file)], port) as process:
        yield port, process


@contextmanager
def slow(cpu: Sequence[str]) -> Iterator[int]:
    """The port of the server whose latency is known."""
    port = free_port()
    with _running([*cpu, sys.executable, "-m", "tests.bench.generator_servers", str(port)], port):
        yield port


@contextmanager
def stopped(process: subprocess.Popen[bytes], after: float, seconds: float) -> Iterator[None]:
    """Stop a process for ``seconds`` once ``after`` seconds of the block have passed."""
    cancelled = threading.Event()

    def stop() -> None:
        if cancelled.wait(after):
            return
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGCONT)

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        yield
    finally:
        cancelled.set()
        thread.join()


def free_port() -> int:
    """A port of loopback at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        port: int = made.getsockname()[1]
    return port


@contextmanager
def _running(argv: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(argv) as process:
        try:
            wait_for(f"{argv[-1]} to listen", lambda: _listens(process, argv, port), deadline=READY)
            yield process
        finally:
            process.kill()


def _listens(process: subprocess.Popen[bytes], argv: list[str], port: int) -> None:
    if process.poll() is not None:
        raise CommandError(argv, process.returncode, "it ended")
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError as error:
        raise NotYet(str(error)) from error


class _Slow(asyncio.Protocol):
    """One connection; requests without a body, one after the other."""

    numbers = count()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._held = b""

    def data_received(self, data: bytes) -> None:
        self._held += data
        if b"\r\n\r\n" in self._held:
            self._held = b""
            delay = LEAST + SPREAD * (next(self.numbers) * GOLDEN % 1)
            asyncio.get_running_loop().call_later(delay, self._transport.write, ANSWER)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Slow, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))

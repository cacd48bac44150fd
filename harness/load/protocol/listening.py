"""Judge0's callbacks: a PUT for each submission, to a listener in the generator's own process.

Each submission's ``callback_url`` ends in the number of its arrival, so a callback is identified without its
token; it may come before the answer to the creation. It has Judge0's default fields: no timestamps, so
queueing and execution times are unknown. Judge0 tries three times if nobody listens, and then gives up.

The listener is the standard library's, in threads: callbacks come as fast as workers work, about a hundred a
second and core, and the time of each is taken in its thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness.core.errors import UsageError
from harness.judge0 import reading, requests
from harness.judge0.reading import UnreadableError
from harness.load.model import SECOND, Outcome
from harness.load.protocol.single import created

if TYPE_CHECKING:
    from harness.load.model import Workload
    from harness.load.protocol.following import Following

DRAIN_EVERY = SECOND // 200
LARGEST = 64 * 1024 * 1024

OnCallback = Callable[[int, bytes], None]


class Listener(ThreadingHTTPServer):
    """Listens at ``base``, a URL with an address of this machine, until closed.

    ``on_callback`` is called in a thread with the number at the end of the path and the body. Raises
    ``UsageError`` if it cannot listen there.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, base: str, on_callback: OnCallback) -> None:
        where = urlsplit(base)
        self.prefix, self.on_callback = where.path.rstrip("/") + "/", on_callback
        try:
            super().__init__((where.hostname or "", where.port or 80), _Handler)
        except OSError as error:
            raise UsageError(
                f"callbacks cannot be received at {base}: {error}; give an address of this machine that the "
                "workers can reach, with a free port"
            ) from error
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def server_bind(self) -> None:
        """Without the lookup of its own name, which asks a resolver."""
        TCPServer.server_bind(self)

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks in the middle has no callback."""


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    timeout = 30

    def do_PUT(self) -> None:
        number = self.path.removeprefix(self.server.prefix)
        length = self.headers.get("Content-Length", "")
        if not (self.path.startswith(self.server.prefix) and number.isdecimal()):
            self._answer(404)
        elif not length.isdecimal() or int(length) > LARGEST:
            self._answer(411)
        else:
            self.server.on_callback(int(number), self.rfile.read(int(length)))
            self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's own name)
        """No log: standard error is for the run."""


class CallbackProtocol:
    """Creates submissions with a callback each, and judges the callbacks."""

    def __init__(self, following: Following, workload: Workload) -> None:
        self._following = following
        self._bodies = [requests.as_json(following.route, each)[:-1] for each in workload.programs]
        self._created: set[int] = set()
        self._early: dict[int, tuple[bytes, int]] = {}
        self._received: deque[tuple[int, bytes, int]] = deque()
        self._listener = Listener(following.route.callback_base, self._on_callback)
        self._draining = False

    def begin(self, number: int, intended: int) -> None:
        """Create a submission."""
        following = self._following
        url = f"{following.route.callback_base}/{number}"
        body = self._bodies[following.begin(number, intended)] + f',"callback_url":"{url}"}}'.encode()
        data = requests.encode(following.route, requests.create(body))
        following.engine.ask(data, lambda answer: created(following, number, answer, self._follow))
        self._wake()

    def finish(self) -> None:
        """Stop listening, and end what is in flight."""
        self._listener.close()
        self._drain()
        self._following.finish()

    def _on_callback(self, number: int, body: bytes) -> None:
        """Runs in a thread of the listener."""
        self._received.append((number, body, self._following.engine.now()))

    def _follow(self, number: int, _token: str) -> None:
        early = self._early.pop(number, None)
        self._created.add(number)
        if early:
            self._judge(number, *early)

    def _wake(self) -> None:
        if not self._draining:
            self._draining = True
            self._following.engine.later(DRAIN_EVERY, self._round)

    def _round(self) -> None:
        self._draining = False
        self._drain()
        for number in self._following.late():
            self._following.give_up(number, "no callback")
        if self._following.has_any():
            self._wake()

    def _drain(self) -> None:
        while self._received:
            number, body, at = self._received.popleft()
            if number in self._created:
                self._judge(number, body, at)
            elif self._following.is_under_way(number):
                self._early.setdefault(number, (body, at))

    def _judge(self, number: int, body: bytes, at: int) -> None:
        """A second callback for the same arrival has no effect."""
        self._created.discard(number)
        runs = requests.runs_of(self._following.program(number))
        try:
            submission = reading.read_one(body, runs=runs)
        except UnreadableError as error:
            self._following.end(number, Outcome.FAILED, f"callback: {error}", at)
            return
        self._following.judge(number, submission, at)

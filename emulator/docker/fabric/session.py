"""A connection to the agent in the fabric container: requests from many threads, one connection."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, cast

import docker
import docker.errors
from docker.utils.socket import frames_iter

from emulator.planes.base import PlaneError
from harness.core.wait import scaled

COMMAND = ["python3", "-m", "wt_fabric.agent"]
ANSWER_SECONDS = 30
STDOUT = 1


class SessionLostError(PlaneError):
    """The agent, or the container it runs in, is gone."""


class Session:
    """One agent. ``call`` may be used from any thread; after ``SessionLostError`` open another."""

    def __init__(self, engine: docker.DockerClient, container: str) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._error_output = b""
        self._over = False
        self._engine = engine
        self._exec: str = engine.api.exec_create(container, COMMAND, stdin=True)["Id"]
        self._stream = engine.api.exec_start(self._exec, socket=True)
        # The SDK wraps the socket in a reader that cannot be written to.
        self._socket = cast(socket.socket, getattr(self._stream, "_sock", self._stream))
        self._socket.settimeout(None)
        threading.Thread(target=self._read, name="fabric agent", daemon=True).start()

    @property
    def over(self) -> bool:
        """Whether the agent is known to be gone."""
        return self._over

    def call(self, operation: str, **arguments: Any) -> Any:
        """Have the agent do one thing. Raises ``PlaneError`` with its message, or ``SessionLostError``."""
        number, answer = next(self._numbers), Future[Any]()
        line = json.dumps({"id": number, "op": operation, **arguments}).encode() + b"\n"
        with self._lock:
            if self._over:
                raise self._lost()
            self._waiting[number] = answer
            try:
                self._socket.sendall(line)
            except OSError as error:
                raise self._lost() from error
        return self._await(operation, answer)

    def _await(self, operation: str, answer: Future[Any]) -> Any:
        seconds = round(scaled(ANSWER_SECONDS))
        for _ in range(seconds):
            try:
                return answer.result(1.0)
            except FutureTimeoutError:
                # The engine does not close the connection when it ends the container that the agent ran in.
                if not self._runs():
                    self._end()
        raise PlaneError(f"the fabric's agent gave no answer to {operation!r} in {seconds} s")

    def _runs(self) -> bool:
        try:
            return bool(self._engine.api.exec_inspect(self._exec)["Running"])
        except docker.errors.APIError:
            return False

    def close(self) -> None:
        """Close the connection; the agent ends with its input."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._stream.close()
        self._socket.close()

    def _read(self) -> None:
        pending = b""
        try:
            for stream, data in self._frames():
                if stream != STDOUT:
                    self._error_output = (self._error_output + data)[-2000:]
                    continue
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    self._deliver(json.loads(line))
        except (OSError, ValueError):
            pass  # closing while a read is under way looks like this; what matters is that it is over
        self._end()

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        frames: Iterator[tuple[int, bytes]] = cast(Any, frames_iter)(self._stream, tty=False)
        return frames

    def _deliver(self, reply: dict[str, Any]) -> None:
        with self._lock:
            answer = self._waiting.pop(reply["id"], None)
        if answer is None:
            return
        if "error" in reply:
            answer.set_exception(PlaneError(reply["error"]))
        else:
            answer.set_result(reply["ok"])

    def _end(self) -> None:
        with self._lock:
            self._over = True
            waiting, self._waiting = list(self._waiting.values()), {}
        for answer in waiting:
            answer.set_exception(self._lost())

    def _lost(self) -> SessionLostError:
        error_output = self._error_output.decode(errors="replace").strip()
        return SessionLostError(f"the fabric's agent is gone{f': {error_output}' if error_output else ''}")

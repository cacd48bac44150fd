"""What a connection may take of the server: time, size, and how many there are.

uvicorn answers well-behaved clients. This bounds the others: half a request, a request line without end, a
body that trickles, an answer that nobody reads. A client that exceeds a limit gets an error in DigitalOcean's
shape where that is still possible, and is disconnected.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from emulator.api.bodies import MOST_BODY

log = logging.getLogger(__name__)

HEAD_TOO_LONG = "The request line and the headers are longer than {} bytes."


@dataclass(frozen=True)
class Limits:
    """How long and how much.

    ``idle``: a client on a slow machine may pause this long and then use its connection again, also to POST.
    """

    idle_seconds: int = 75
    head_seconds: float = 15
    body_seconds: float = 60
    unread_seconds: float = 60
    head_bytes: int = 64 * 1024
    connections: int = 256


class GuardedProtocol(HttpToolsProtocol):
    """One connection under ``Limits``."""

    def __init__(self, *arguments: Any, limits: Limits, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._phase: Literal["", "head", "body"] = ""
        self._head = self._body = 0
        self._refusal = (HTTPStatus.BAD_REQUEST, "bad_request", "Invalid HTTP request received.")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take a connection, if there are not too many."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            log.warning("more than %d connections: one is refused", self._limits.connections)
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", "Too many connections.")
            return
        self._allow(self._limits.idle_seconds, self._leave)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time that it had."""
        self._disarm()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; what is no request yet must become one in time and size."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._phase == "head":
            self._head += len(data)
            if self._head > self._limits.head_bytes:
                self._refuse(*self._too_long())
        elif (
            self._idle() and self._deadline is None
        ):  # bytes that belong to no request ended uvicorn's own wait
            self._allow(self._limits.idle_seconds, self._leave)

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._phase, self._head, self._body = "head", 0, 0
        self._allow(self._limits.head_seconds, self._too_late)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head has come."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._limits.head_bytes:
            self._refusal = self._too_long()
            raise ValueError(self._refusal[2])  # the parser then has the request refused
        super().on_headers_complete()  # raises for a target that is none
        self._phase = "body"
        self._allow(self._limits.body_seconds, self._too_late)

    def on_body(self, body: bytes) -> None:
        """A part of its body. What the answer did not wait for is thrown away, up to a limit."""
        self._body += len(body)
        if self._body > MOST_BODY and self.cycle.response_complete:
            self.transport.abort()
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of it."""
        self._phase = ""
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, as DigitalOcean would."""
        del msg
        self._refuse(*self._refusal)

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._unread = self.loop.call_later(self._limits.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _idle(self) -> bool:
        done = self.cycle is None or self.cycle.response_complete
        return done and self.timeout_keep_alive_task is None

    def _allow(self, seconds: float, over: Callable[[], None]) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, over)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _leave(self) -> None:
        self.transport.close()

    def _too_late(self) -> None:
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The request did not come in time.")

    def _too_long(self) -> tuple[HTTPStatus, str, str]:
        message = HEAD_TOO_LONG.format(self._limits.head_bytes)
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request_header_fields_too_large", message

    def _refuse(self, status: HTTPStatus, id_: str, message: str) -> None:
        """Answer instead of the application and disconnect; only disconnect where an answer is under way."""
        self._disarm()
        if self._answering():
            self.transport.abort()
            return
        body = json.dumps({"id": id_, "message": message}).encode()
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(
            body
        )
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _answering(self) -> bool:
        """Whether bytes of ours would come into, or behind, an answer to the request that they are about."""
        if self.cycle is None:
            return False
        in_body = self.cycle.response_started if self._phase == "body" else not self.cycle.response_complete
        return in_body or bool(self.pipeline)

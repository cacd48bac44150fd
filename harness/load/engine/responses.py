"""Responses read off a connection by httptools, Node.js's parser: it knows chunks, 1xx and the rest."""

from __future__ import annotations

import httptools

_FRAMING = (b"content-length", b"transfer-encoding")


class Responses:
    """The responses of one connection, one after the other.

    ``status``, ``body`` and ``keep`` (the connection may be used again) are those of the response that was
    completed last.
    """

    __slots__ = ("_complete", "_framed", "_open", "_parser", "_parts", "body", "keep", "status")

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._complete = 0
        self._framed = self._open = False
        self.status, self.body, self.keep = 0, b"", True

    def feed(self, data: bytes | memoryview) -> bool:
        """Take what came; true if it completes a response.

        More than one at a time answers nothing that was asked: ``keep`` is false then. Raises
        ``httptools.HttpParserError`` for what is not HTTP, an upgrade included.
        """
        assert self._parser is not None
        self._complete = 0
        self._parser.feed_data(data)
        if self._complete > 1 or (self._complete and self._open):
            self.keep = False
        return self._complete > 0

    def end(self) -> bool:
        """The connection ended; true if that completes a response (one without length and chunks)."""
        if not self._open or self._framed:
            return False
        self.on_message_complete()
        return self._complete > 0

    def close(self) -> None:
        """Let go of the parser, which holds this object: without that it takes the collector to free both."""
        self._parser = None

    def on_message_begin(self) -> None:
        self._parts.clear()
        self._framed = self._open = False

    def on_header(self, name: bytes, _value: bytes) -> None:
        if name.lower() in _FRAMING:
            self._framed = True

    def on_headers_complete(self) -> None:
        self._open = True

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)

    def on_message_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        self._open = False
        if status < 200:
            return  # "100 Continue" and its like: the answer is yet to come
        self._complete += 1
        self.status, self.keep = status, self._parser.should_keep_alive()
        parts = self._parts
        self.body = parts[0] if len(parts) == 1 else b"".join(parts)

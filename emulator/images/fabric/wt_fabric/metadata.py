"""The metadata service: to each machine its own document, told apart by source address.

The fabric's spoof guard makes the source address trustworthy. `/metadata/v1.json` is the document;
`/metadata/v1/...` is the same as a tree of plain text, directories as listings, with some names of its own,
as DigitalOcean has them.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DIGITS = re.compile("[0-9]{1,6}")
ROOT = "/metadata/v1"
# What the tree calls otherwise than the document does.
NAMES = {
    "droplet_id": "id",
    "user_data": "user-data",
    "vendor_data": "vendor-data",
    "public_keys": "public-keys",
    "ip_address": "address",
}
LISTINGS = ("tags",)  # directories of names without anything in them
CONNECTION_SECONDS = 30.0
MOST_CONNECTIONS = 512


class Handler(BaseHTTPRequestHandler):
    """Answers GET; ``directory`` holds one JSON document for each address."""

    protocol_version = "HTTP/1.1"
    directory = Path()

    def do_GET(self) -> None:
        """Answer with the document, a leaf or a listing."""
        try:
            document = json.loads((self.directory / f"{self.client_address[0]}.json").read_text())
        except FileNotFoundError:
            self._answer(404, "no droplet has this address\n")
            return
        path = self.path.partition("?")[0]
        if path in (f"{ROOT}.json", f"{ROOT}.json/"):
            self._answer(200, json.dumps(document), "application/json")
        elif path == ROOT or path.startswith(f"{ROOT}/"):
            self._tree(document, [part for part in path[len(ROOT) :].split("/") if part])
        else:
            self._answer(404, "not found\n")

    def _tree(self, document: Any, parts: list[str]) -> None:
        try:
            text = render(descend(tree(document), parts))
        except KeyError:
            self._answer(404, "not found\n")
        else:
            self._answer(200, text)

    def _answer(self, status: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
        """Say nothing: droplets poll."""


def tree(document: Any) -> Any:
    """The document under the names of the tree."""
    if isinstance(document, dict):
        return {NAMES.get(name, name): tree(value) for name, value in document.items()}
    return [tree(value) for value in document] if isinstance(document, list) else document


def descend(document: Any, parts: list[str]) -> Any:
    """The value at a path such as ``interfaces/public/0/ipv4/address``. Raises ``KeyError``."""
    value = document
    for part in parts:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and DIGITS.fullmatch(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            raise KeyError(part)
    return value


def render(value: Any) -> str:
    """A directory as its names, a list of texts as lines, anything else as text."""
    if isinstance(value, dict):
        return "\n".join(
            f"{key}/" if key in LISTINGS or is_directory(child) else key for key, child in value.items()
        )
    if isinstance(value, list):
        if any(isinstance(child, (dict, list)) for child in value):
            return "\n".join(f"{index}/" for index in range(len(value)))
        return "\n".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def is_directory(value: Any) -> bool:
    """Whether a value is listed with a slash."""
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(child, (dict, list)) for child in value)
    )


class Server(ThreadingHTTPServer):
    """Seven droplets may boot at once.

    A client that sends nothing, or half a request, is disconnected after ``CONNECTION_SECONDS``; beyond
    ``MOST_CONNECTIONS`` connections are refused.
    """

    request_queue_size = 128
    daemon_threads = True
    seconds = CONNECTION_SECONDS

    def __init__(self, *arguments: Any) -> None:
        self._slots = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(*arguments)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 (the base's)
        """Whether one more connection is allowed."""
        return self._slots.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection for as long as it may last."""
        timer = threading.Timer(self.seconds, cut_off, (request,))
        timer.daemon = True
        timer.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that leave in the middle; all else is a fault, for the log."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def cut_off(client: socket.socket) -> None:
    """Wake whoever reads from a connection, or writes to it."""
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    Handler.directory = Path(sys.argv[2])
    Server((sys.argv[1], 80), Handler).serve_forever()

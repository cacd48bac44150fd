"""A TLS relay before an emulator that writes down every request, to say what was never asked."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from serving import Served

HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"}


@dataclass
class Recorder:
    """Where the relay listens, and what was asked: method and path; ``leases`` are those about leases."""

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    leases: list[tuple[str, str]] = field(default_factory=list)

    def changes(self) -> list[tuple[str, str]]:
        """What was more than a look."""
        return [each for each in self.asked if each[0] != "GET"]

    def lasting_changes(self) -> int:
        """How many requests changed more than a lease, which a command gives back at its end."""
        return len(self.changes()) - len(self.leases)


@contextmanager
def recording(server: Served) -> Iterator[Recorder]:
    """A relay for the length of a block; its certificate is the emulator's own: the host is the same."""
    recorder = Recorder()
    with httpx.Client(base_url=server.http, trust_env=False, timeout=60) as upstream:
        relay = ThreadingHTTPServer(("127.0.0.1", 0), _handler(recorder, upstream))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server.state / "tls/server.pem", server.state / "tls/server-key.pem")
        # The handshake is the handler's, in its own thread, or one slow client would hold up all others.
        relay.socket = context.wrap_socket(relay.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=relay.serve_forever, args=(0.1,))
        thread.start()
        recorder.url = f"https://127.0.0.1:{relay.server_address[1]}"
        try:
            yield recorder
        finally:
            relay.shutdown()
            thread.join()
            relay.server_close()


def _handler(recorder: Recorder, upstream: httpx.Client) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def relay(self) -> None:
            recorder.asked.append((self.command, self.path))
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.command != "GET" and (b"wavetank-lease" in body or "wavetank-lease" in self.path):
                recorder.leases.append((self.command, self.path))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            answer = upstream.request(self.command, self.path, headers=headers, content=body)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in HOP | {"content-encoding"}:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = relay  # noqa: N815 (the library's names)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
            """Say nothing; what was asked is written down."""

    return Handler

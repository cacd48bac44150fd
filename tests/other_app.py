"""A small HTTP server that speaks as an application does that we did not write: other keys, words and ports.

``POST /api/run`` takes ``{code, languageId, stdin}`` and answers ``{success, result: {...}}``, without a
token and a history; it takes some languages only. With ``token`` every request must have it in
``X-Auth-Token``.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TAKES = (71, 54, 62)
TEXT = re.compile(r"(?:echo |print\('|puts\(\"|<< \"|log\(')([\w.-]+)")


@dataclass
class Seen:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class OtherApp:
    """What it is told to be, and what came. ``change`` gets an answer's code and JSON, and returns others.

    ``accounts`` are the users that signed up; ``names`` what TLS clients asked for, as SNI.
    """

    token: str = ""
    change: Callable[[int, Any], tuple[int, Any]] = lambda code, document: (code, document)
    seen: list[Seen] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    accounts: dict[str, Any] = field(default_factory=dict)
    port: int = 0

    def answer(self, asked: Seen) -> tuple[int, Any]:
        """Code and JSON for a request."""
        self.seen.append(asked)
        if self.token and asked.headers.get("x-auth-token") != self.token:
            return 401, {}
        if (asked.method, asked.path) == ("POST", "/api/run"):
            return self.change(*_run(asked.body))
        if (asked.method, asked.path) == ("POST", "/api/auth/signup"):
            return self._sign_up(asked.body)
        if asked.method in ("GET", "DELETE") and asked.path.startswith("/api/users/"):
            return self._user(asked.method, asked.path.rpartition("/")[2])
        return (200, {"path": asked.path}) if asked.path in ("/", "/health") else (404, {"error": "no page"})

    def _sign_up(self, body: Any) -> tuple[int, Any]:
        if body["email"] in self.accounts:
            return 409, {"success": False, "error": "taken"}
        self.accounts[body["email"]] = body
        return 201, {"success": True, "user": {"email": body["email"], "id": len(self.accounts)}}

    def _user(self, method: str, email: str) -> tuple[int, Any]:
        if email not in self.accounts:
            return 404, {"success": False}
        if method == "DELETE":
            del self.accounts[email]
        return 200, {"success": True, "user": {"email": email}}


def _run(body: Any) -> tuple[int, Any]:
    """What would come of a program: it is read, not run."""
    if body.get("languageId") not in TAKES:
        return 400, {"success": False, "error": f"language {body.get('languageId')} is not supported"}
    text = TEXT.findall(body["code"])
    output = text[0] if text else str(2 * int(body["stdin"] or 0))
    result = {"status": "OK", "statusId": 3, "output": f"{output}\n", "stderr": None, "compileOutput": None,
              "time": "0.011", "memory": 3300}  # fmt: skip
    return 200, {"success": True, "result": result}


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Seen(self.command, self.path, headers, json.loads(body) if body else None)
        code, document = self.server.app.answer(asked)
        data = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_DELETE = do_TRACE = do_GET  # noqa: N815 (the library's own names)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, app: OtherApp) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.app = app

    def handle_error(self, *_: Any) -> None:
        """A client that does not finish its handshake is its own matter."""


@contextmanager
def serving(app: OtherApp, *, tls: bool = False) -> Iterator[OtherApp]:
    """Serve it on a free port of loopback for the length of the block."""
    with _Server(app) as server:
        app.port = server.server_address[1]
        if tls:
            server.socket = _secured(server.socket, app)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield app
        finally:
            server.shutdown()
            thread.join()


def _secured(listener: Any, app: OtherApp) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(_certificate())
        context.load_cert_chain(file.name)
    context.sni_callback = lambda _socket, name, _context: app.names.append(name)
    return context.wrap_socket(listener, server_side=True, do_handshake_on_connect=True)


@functools.cache
def _certificate() -> bytes:
    """A key and a certificate that nobody trusts, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "other")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return private + certificate.public_bytes(serialization.Encoding.PEM)

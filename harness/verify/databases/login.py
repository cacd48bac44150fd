"""Logging in to a managed database over any stream, and distinguishing who refused.

A stream rather than a host name, because the connection is a droplet's: it comes through ssh, while the host
name is still what the certificate is held against. Of the usual clients only pg8000 takes a ready socket, so
PostgreSQL is spoken by it; Valkey's two commands are written out, and MongoDB's messages are made of its own
client's BSON and SCRAM. All of them are imported only here, when a check runs.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Literal, TypeVar

from harness.core.wait import scaled
from harness.topology.deployment import Connection

Outcome = Literal["session", "refused", "unverified", "lost"]
Ask = Callable[..., Any]
T = TypeVar("T")

SECONDS = 10.0
OP_MSG = 2013
MECHANISM = "SCRAM-SHA-256"
HOST_MISMATCH = 62  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH
UNTRUSTED = (18, 19, 20, 21)  # its verdicts on chains that end in no authority that is trusted


@dataclass(frozen=True)
class Attempt:
    """The outcome of one attempt to log in and run something trivial.

    *session*: it worked; *refused*: the database itself said no; *unverified*: our own verification of its
    certificate did, with OpenSSL's ``code``; *lost*: nobody said anything that counts.
    """

    outcome: Outcome
    message: str = ""
    code: int = 0

    def __str__(self) -> str:
        return f"{self.outcome}: {self.message}" if self.message else self.outcome


class RefusedError(Exception):
    """The database's own error; its text names no password."""


def attempt(
    engine: str,
    stream: socket.socket,
    at: Connection,
    *,
    authority: str | None,
    name: str | None = None,
    password: str | None = None,
) -> Attempt:
    """Log in over ``stream``, which is closed afterwards. Never raises for the other side's behaviour.

    ``authority`` is the CA's certificate to verify with (PEM), None to speak without TLS at all; ``name``
    the host name to hold the certificate against (that of ``at`` by default); ``password`` stands in for
    the real one.
    """
    tls = ssl.create_default_context(cadata=authority) if authority else None
    given = at.password if password is None else password
    with stream:
        stream.settimeout(scaled(SECONDS))
        try:
            SPEAKERS[engine](stream, tls, name or at.host, replace(at, password=given), TRIVIAL[engine])
        except ssl.SSLCertVerificationError as error:
            return Attempt("unverified", error.verify_message, error.verify_code)
        except RefusedError as error:
            return Attempt("refused", str(error))
        except (OSError, EOFError) as error:
            return Attempt("lost", f"{type(error).__name__}: {error}")
    return Attempt("session")


def session(
    engine: str, stream: socket.socket, at: Connection, authority: str, work: Callable[[Ask], T]
) -> T:
    """What ``work`` makes of a session of the cluster's own user over ``stream``, which is closed afterwards.

    ``work`` is given what asks the database, in the words of its engine: an SQL statement, the words of a
    command, or a document. Raises ``RefusedError``, ``OSError`` or ``EOFError``.
    """
    made: list[T] = []
    tls = ssl.create_default_context(cadata=authority)
    with stream:
        stream.settimeout(scaled(SECONDS))
        SPEAKERS[engine](stream, tls, at.host, at, lambda ask: made.append(work(ask)))
    return made[0]


def _postgres(
    stream: socket.socket,
    tls: ssl.SSLContext | None,
    name: str,
    at: Connection,
    work: Callable[[Ask], None],
) -> None:
    from pg8000.exceptions import DatabaseError, InterfaceError
    from pg8000.native import Connection as Session

    try:
        session = Session(
            at.user,
            password=at.password,
            database=at.database,
            host=name,
            sock=stream,
            ssl_context=tls or False,
        )
        try:
            work(session.run)
        finally:
            session.close()
    except (DatabaseError, InterfaceError, struct.error) as error:
        refusal = _refusal(error)
        if refusal is None:  # what pg8000 makes of a connection that ends early
            raise EOFError(str(error)) from None
        raise RefusedError(refusal) from None


def _refusal(error: BaseException | None) -> str | None:
    """The server's message. pg8000 then closes the session; if that fails, it is in the context."""
    while error is not None:
        answer = error.args[0] if error.args else None
        if isinstance(answer, Mapping):
            return f"{answer.get('C')} {answer.get('M')}"
        error = error.__context__
    return None


def _valkey(
    stream: socket.socket,
    tls: ssl.SSLContext | None,
    name: str,
    at: Connection,
    work: Callable[[Ask], None],
) -> None:
    spoken = tls.wrap_socket(stream, server_hostname=name) if tls else stream
    with spoken, spoken.makefile("rb") as answers:

        def ask(*words: str) -> Any:
            spoken.sendall(_command(*words))
            return _reply(answers)

        _require_equal(ask("AUTH", at.user, at.password), "OK")
        work(ask)


def _command(*words: str) -> bytes:
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        raw = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
    return b"".join(parts)


def _reply(answers: BinaryIO) -> Any:
    """One reply in RESP2: a word, a number, a text (None for none), or a list of these."""
    line = answers.readline()
    kind, text = line[:1], line[1:].decode(errors="replace").strip()
    if kind == b"-":
        raise RefusedError(text)
    if kind == b"+":
        return text
    if kind not in (b":", b"$", b"*") or not text.lstrip("-").isdigit():
        raise EOFError(f"{line[:40]!r} is not a reply")
    number = int(text)
    if kind == b":" or number < 0:
        return number if kind == b":" else None
    if kind == b"*":
        return [_reply(answers) for _ in range(number)]
    return answers.read(number + 2)[:number].decode(errors="replace")


def _require_equal(found: object, wanted: object) -> None:
    if found != wanted:
        raise EOFError(f"{found!r} instead of {wanted!r}")


def _mongodb(
    stream: socket.socket,
    tls: ssl.SSLContext | None,
    name: str,
    at: Connection,
    work: Callable[[Ask], None],
) -> None:
    from scramp import ScramClient, ScramException

    spoken = tls.wrap_socket(stream, server_hostname=name) if tls else stream
    with spoken:
        ask = _asker(spoken)
        proof = ScramClient([MECHANISM], at.user, at.password)
        begun = ask({"saslStart": 1, "mechanism": MECHANISM, "payload": proof.get_client_first().encode()})
        try:
            proof.set_server_first(begun["payload"].decode())
            answer = _go_on(ask, begun, proof.get_client_final().encode())
            proof.set_server_final(answer["payload"].decode())
        except (ScramException, KeyError) as error:
            raise RefusedError(f"{MECHANISM}: {type(error).__name__}") from None
        while not answer["done"]:
            answer = _go_on(ask, begun, b"")
        work(ask)


def _go_on(ask: Callable[[dict[str, Any]], dict[str, Any]], begun: Mapping[str, Any], payload: bytes) -> Any:
    return ask({"saslContinue": 1, "conversationId": begun["conversationId"], "payload": payload})


def _asker(spoken: socket.socket) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Send one document to the database ``admin`` and return the answer; ``ok: 0`` is a refusal."""
    import bson

    def ask(command: dict[str, Any]) -> dict[str, Any]:
        document = bson.encode({**command, "$db": "admin"})
        spoken.sendall(struct.pack("<iiiiIB", 21 + len(document), 1, 0, OP_MSG, 0, 0) + document)
        length = struct.unpack("<i", _exactly(spoken, 4))[0]
        if not 21 < length < 1 << 20:
            raise EOFError(f"an answer of {length} bytes is not one of MongoDB's")
        answer: dict[str, Any] = bson.decode(_exactly(spoken, length - 4)[17:])
        if not answer.get("ok"):
            raise RefusedError(f"{answer.get('code')} {answer.get('errmsg')}")
        return answer

    return ask


def _exactly(spoken: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = spoken.recv(size - len(parts))
        if not part:
            raise EOFError("the connection was closed")
        parts += part
    return bytes(parts)


Speaker = Callable[[socket.socket, "ssl.SSLContext | None", str, Connection, Callable[[Ask], None]], None]
SPEAKERS: Mapping[str, Speaker] = {"pg": _postgres, "valkey": _valkey, "mongodb": _mongodb}
# A trivial command that needs a session.
TRIVIAL: Mapping[str, Callable[[Ask], None]] = {
    "pg": lambda ask: _require_equal(ask("select 1"), [[1]]),
    "valkey": lambda ask: _require_equal(ask("PING"), "PONG"),
    "mongodb": lambda ask: ask({"ping": 1}) and None,
}

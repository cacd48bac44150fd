"""The metadata service, which every droplet reaches: what a droplet may say to it, and how long."""

from __future__ import annotations

import errno
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from wt_fabric import metadata, socks

from harness.core.wait import NotYet, wait_for

DOCUMENT = {"droplet_id": 1, "tags": ["a"], "interfaces": {"public": [{"mac": "02:00"}]}}


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A service that knows this machine, and waits half a second."""
    (tmp_path / "127.0.0.1.json").write_text(json.dumps(DOCUMENT))
    monkeypatch.setattr(metadata.Handler, "directory", tmp_path)
    monkeypatch.setattr(metadata.Server, "seconds", 0.5)
    monkeypatch.setattr(metadata, "MOST_CONNECTIONS", 4)
    server = metadata.Server(("127.0.0.1", 0), metadata.Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join(20)
    server.server_close()


def ask(port: int, sent: bytes) -> bytes:
    """Everything that is said to that, until the service hangs up."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(sent)
        try:
            while more := client.recv(65536):
                said += more
        except ConnectionResetError:
            pass
    return said


@pytest.mark.parametrize("path", [b"tags/\xb2", b"tags/" + b"9" * 5000, b"interfaces/public/-1"])
def test_a_path_that_is_nowhere_is_not_found(port: int, path: bytes) -> None:
    """An index that Python takes for a digit and not for a number ended the connection without a word."""
    assert ask(port, b"GET /metadata/v1/%b HTTP/1.0\r\n\r\n" % path).startswith(b"HTTP/1.1 404 ")


def test_an_index_is_found(port: int) -> None:
    """As before."""
    assert ask(port, b"GET /metadata/v1/interfaces/public/0/mac HTTP/1.0\r\n\r\n").endswith(b"02:00")


@pytest.mark.parametrize("half", [b"", b"GET /metadata/v1 HTT", b"GET /metadata/v1 HTTP/1.1\r\nX: "])
def test_half_a_request_is_cut_off(port: int, half: bytes) -> None:
    """So is nothing at all, and what trickles: the time is that of the connection."""
    assert b" 200 " not in ask(port, half)


def test_connections_are_bounded(port: int) -> None:
    """One droplet cannot take them for all time: after a while there is room again."""
    taken = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(20)]
    for client in taken:
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
        client.close()

    def probe() -> None:
        if not ask(port, b"GET /metadata/v1/id HTTP/1.0\r\n\r\n").endswith(b"1"):
            raise NotYet("refused")

    wait_for("room", probe, deadline=20)


def test_a_greeting_that_trickles_is_cut_off() -> None:
    """The way in counts from the first byte of what a client wants to the last."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"\x05\xff\x01")  # 255 methods, of which one comes
        with pytest.raises(TimeoutError):
            socks.greeting(ours, time.monotonic() + 0.1)
        with pytest.raises(TimeoutError):
            socks.exactly(ours, 1, time.monotonic() - 1)


def test_a_way_in_that_is_full_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor for one more client is no reason to end: nobody would be let in any more."""
    monkeypatch.setattr(socks, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(socks.socket, "create_server", Full)
    with pytest.raises(OSError, match="the end of the test"):
        socks.listen("127.0.0.1", 1, "127.0.0.2")


class Full:
    """A server without room, three times over."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        self._errors = iter([errno.EMFILE, errno.ENFILE, errno.ENOMEM])

    def __enter__(self) -> Full:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to close."""

    def accept(self) -> None:
        """No."""
        for number in self._errors:
            raise OSError(number, "no room")
        raise OSError(errno.EBADF, "the end of the test")

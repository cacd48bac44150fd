"""The way through a SOCKS5 proxy, against a small proxy on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.access import socks

CONNECT = str(Path(socks.__file__))
REFUSED = b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"
GRANTED = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


def serve(listener: socket.socket) -> None:
    """Grant port 22 and then echo; refuse every other port."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client:
            client.recv(16)
            client.sendall(b"\x05\x00")
            request = client.recv(512)
            if int.from_bytes(request[-2:], "big") != 22:
                client.sendall(REFUSED)
                continue
            client.sendall(GRANTED + b"banner")
            while data := client.recv(65536):
                client.sendall(data)


@pytest.fixture
def proxy() -> Iterator[str]:
    """The URL of a proxy that is its own peer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"socks5://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_relays_standard_input_and_output(proxy: str) -> None:
    """The first bytes after the handshake are not lost."""
    done = subprocess.run(
        [sys.executable, CONNECT, proxy, "203.0.113.5", "22"],
        input=b" hello",
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == b"banner hello"
    assert done.returncode == 0


def test_hands_the_connection_over_to_ssh(proxy: str) -> None:
    """Over a unix socket, and then it is gone."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, CONNECT, proxy, "203.0.113.5", "22"], stdin=theirs, stdout=theirs
        )
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        assert process.wait(timeout=30) == 0
        with socket.socket(fileno=descriptors[0]) as connected:
            assert os.get_blocking(connected.fileno())
            assert connected.recv(6) == b"banner"
            connected.sendall(b"after")
            assert connected.recv(5) == b"after"


def test_a_peer_that_says_nothing_is_not_waited_for_without_end(proxy: str) -> None:
    """A peer that is connected and silent, as one that does not speak TLS."""
    with socks.connect(proxy, "203.0.113.5", 22, timeout=1) as connected:
        assert connected.recv(6) == b"banner"
        with pytest.raises(TimeoutError):
            connected.recv(1)


def test_refused_connection_says_what_and_through_what(proxy: str) -> None:
    """In one line, without a traceback."""
    done = subprocess.run(
        [sys.executable, CONNECT, proxy, "203.0.113.5", "23"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot reach 203.0.113.5:23 through {proxy}: ")
    assert "Traceback" not in done.stderr


def test_proxy_that_is_not_there_is_an_error() -> None:
    """A closed port on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(OSError, match=f"proxy 127.0.0.1:{port}"):
        socks.connect(f"socks5://127.0.0.1:{port}", "203.0.113.5", 22)


def test_malformed_proxy_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Said to the user, not raised."""
    assert socks.main(["nonsense", "203.0.113.5", "22"]) == 1
    assert "nonsense" in capsys.readouterr().err


def test_wrong_usage_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 4, as everywhere."""
    assert socks.main(["socks5://127.0.0.1:1", "host", "ssh"]) == 4
    assert "usage:" in capsys.readouterr().err

"""The script that asks, where its own machine runs short: that is never taken for a filter."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from harness.isolation.paced.remote_scripts import SCRIPTS, RemoteScript, here
from harness.isolation.paced.scripts import probe

PORTS = 40


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What a scan of loopback in this process tells, by word; nobody listens there."""
    monkeypatch.setattr(probe, "watch_input", lambda _: None)
    monkeypatch.setattr(probe, "TRIES", 2)
    monkeypatch.setattr(probe, "within_limits", lambda wanted: wanted)

    def scan() -> dict[str, list[list[int]]]:
        target = {"ip": "127.0.0.78", "tcp": [[1, PORTS]], "udp": [], "icmp": False, "payload": ""}
        job = {"targets": [target], "passes": 1, "in_flight": 10, "rate": 10_000, "seconds": 5, "seed": ""}
        probe.Scan(job).run()
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        (block,) = (line for line in lines if "outcomes" in line)
        outcomes: dict[str, list[list[int]]] = block["outcomes"]
        return outcomes

    return scan


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EADDRNOTAVAIL, errno.EAGAIN])
def test_a_shortage_is_got_over(asked: Any, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """What failed is tried again a little later, with fewer at once."""
    failing = iter([True] * 5)
    made = probe.open_socket

    def sometimes(protocol: str) -> socket.socket:
        if next(failing, False):
            raise OSError(code, "short")
        return made(protocol)

    monkeypatch.setattr(probe, "open_socket", sometimes)
    assert asked() == {"closed": [[1, PORTS]]}


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENETUNREACH, errno.EPERM])
def test_an_error_of_its_own_that_stays_is_told(
    asked: Any, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """By its name, and as nothing else."""

    def never(*_: object) -> int:
        raise OSError(code, "no")

    monkeypatch.setattr(probe, "send", never)
    assert asked() == {f"local {errno.errorcode[code]}": [[1, PORTS]]}


def test_it_ends_with_its_input() -> None:
    """ssh has gone: so is the scan, at once and with all its sockets."""
    target = {"ip": "127.0.0.78", "tcp": [[1, 100]], "udp": [], "icmp": False, "payload": ""}
    job = {"targets": [target], "passes": 1, "in_flight": 10, "rate": 1, "seconds": 5, "seed": ""}
    line = json.dumps({**job, "deadline": 60}).encode() + b"\n"
    script = SCRIPTS / "probe.py"
    argv = [sys.executable, "-I", str(script)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line)
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdin.close()
        assert process.wait(30) == 3


def test_silence_is_told_as_silence() -> None:
    """A UDP listener that says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.78", 0))
        port = silent.getsockname()[1]
        target = {"ip": "127.0.0.78", "tcp": [], "udp": [[port, port]], "icmp": False, "payload": "00"}
        job = {"targets": [target], "passes": 1, "in_flight": 10, "rate": 100, "seconds": 0.2, "seed": ""}
        stop = threading.Event()
        with RemoteScript(here(), "probe.py", job, where="x", deadline=60, stop=stop) as script:
            outcomes = [line["outcomes"] for line in script.lines() if "outcomes" in line]
    assert outcomes == [{"silent": [[port, port]]}]

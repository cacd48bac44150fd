"""What the fabric waits for before it says that it is ready."""

from __future__ import annotations

import os
import socket

import pytest
from wt_fabric import main, selftest
from wt_fabric.command import FabricError


def test_a_listening_socket_is_seen() -> None:
    """Address and port are read as they are; a connection does not count."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        found = main.listening(os.getpid())
        assert server.getsockname() in found
        assert client.getsockname() not in found


def test_a_service_that_has_ended_listens_nowhere() -> None:
    """Its absence is for whoever waits for it to tell."""
    ended = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(ended, 0)
    assert main.listening(ended) == set()


def test_what_is_not_proved_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof that fails is raised when what is done beside it has ended, and is told before all else."""

    def refuse() -> None:
        raise FabricError("rules cannot be enforced here")

    monkeypatch.setattr(selftest, "prove_enforcement", refuse)
    with pytest.raises(FabricError, match="rules cannot be enforced here"), selftest.beside():
        pass
    with pytest.raises(FabricError, match="rules cannot be enforced here"), selftest.beside():
        raise FabricError("the link could not be made")

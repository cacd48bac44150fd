"""Who answers behind one address: asked over real connections, and judged as IPVS shares them out."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from swarm_rig import Here

from harness.core.errors import ResourceError
from harness.core.wait import NotYet, wait_for
from harness.verify.swarm import mesh as swarm_mesh
from harness.verify.swarm.mesh import End, Material, ask, mesh, uneven

TURNS = 6


@pytest.fixture
def here(tmp_path: Path) -> Here:
    """A droplet that is this machine."""
    return Here(tmp_path)


@pytest.fixture
def in_turn() -> Iterator[End]:
    """An address behind which two tasks answer in turn."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for number in range(TURNS + 1):
                connection, _ = server.accept()
                with connection:
                    if number == TURNS:
                        return
                    connection.sendall(b"task-%d" % (number % 2))

        thread = threading.Thread(target=serve)
        thread.start()
        yield End(*server.getsockname())
        socket.create_connection(server.getsockname()).close()
        thread.join()


@pytest.mark.parametrize("container", ["", "c0ffee"])
def test_each_answer_counts_for_the_task_that_gave_it(here: Here, in_turn: End, container: str) -> None:
    """From the droplet, and from inside a container's network."""
    found = ask(here, "client", in_turn, TURNS, container=container)  # type: ignore[arg-type]
    assert found == {"task-0": 3, "task-1": 3}


def test_no_answer_is_told_with_its_reason(here: Here) -> None:
    """Rather than raised: it counts as one that nobody answered."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        found = ask(here, "client", End(*bound.getsockname()), 2)  # type: ignore[arg-type]
    ((told, count),) = found.items()
    assert count == 2
    assert told.startswith("no answer: ")
    assert "refused" in told
    assert "refused" in uneven(found, 3)


def test_turns_that_are_even_pass() -> None:
    """With one more or less, where the number does not divide."""
    assert uneven(Counter(a=6, b=6, c=6), 3) == ""
    assert uneven(Counter(a=7, b=6, c=6), 3) == ""


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (Counter(a=9, b=9), "2 of 3 tasks answered: a: 9, b: 9"),
        (Counter(a=8, b=6, c=4), "shared out as a: 8, b: 6, c: 4"),
        ({"a": 9, "no answer: timed out": 9}, "9 of 18: no answer: timed out"),
        ({"a": 17, "closed in silence": 1}, "1 of 18: closed in silence"),
    ],
)
def test_turns_that_are_not_fail_with_what_was_seen(seen: dict[str, int], told: str) -> None:
    """A task that nobody reaches, shares that differ, connections that nobody answers."""
    assert uneven(Counter(seen), 3) == told


def test_the_tasks_program_answers_with_its_hosts_name() -> None:
    """It is Python that runs by itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = swarm_mesh.ANSWER.replace(str(swarm_mesh.PORT), str(port))
    with subprocess.Popen([sys.executable, "-c", program]) as serving:

        def answer() -> bytes:
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as made:
                    return made.recv(256)
            except ConnectionRefusedError as error:
                raise NotYet(str(error)) from error

        said = wait_for("an answer", answer, deadline=20)
        serving.kill()
    assert said == socket.gethostname().encode()


class Manager:
    """Notes what it is told to run, and answers as a manager would."""

    def __init__(self, network: str) -> None:
        self.scripts: list[str] = []
        self.network = network

    def run(self, node: str, script: str, *, deadline: float = 60.0) -> str:
        del node, deadline
        self.scripts.append(script)
        if "network inspect" in script:
            return f"{self.network}\n"
        return (
            '[{"NetworkID": "ingress", "Addr": "10.0.0.9/24"}, {"NetworkID": "own", "Addr": "10.0.1.7/24"}]'
        )


def test_the_service_goes_whatever_happens_to_it() -> None:
    """Also where making it fails half-way."""
    made_of = Material("sha256:1", "node.labels.a==true", ("a", "b"), "net")
    manager = Manager("own")
    with mesh(manager, "runner", made_of) as found:  # type: ignore[arg-type]
        assert found.virtual == End("10.0.1.7", swarm_mesh.PORT)
        assert found.tasks == 2
    assert "docker service rm wavetank-mesh-" in manager.scripts[-1]

    lost = Manager("another")

    def fail() -> None:
        with mesh(lost, "runner", made_of):  # type: ignore[arg-type]
            pass

    with pytest.raises(ResourceError, match="no address on net"):
        fail()
    assert "docker service rm wavetank-mesh-" in lost.scripts[-1]

"""Root in a droplet is not root on this machine: the ways out, tried by root and from containers in there."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tank import Tank, droplet

from emulator.docker import droplet as droplets
from harness.core.wait import scaled

pytestmark = pytest.mark.docker

ATTACKS = (Path(__file__).parent / "escapes.py").read_text()
# An image without files: it has the droplet's.
IMAGE = "tar -c -C / bin lib lib64 sbin | docker import - nothing > /dev/null"
CONTAINER = ("docker", "run", "--rm", "--tmpfs", "/tmp", "-v", "/usr:/usr:ro")
PLACES = {
    "root": (),
    "privileged container": (*CONTAINER, "--privileged", "nothing"),
    "container with SYS_ADMIN": (
        *CONTAINER, "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "nothing",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file on this machine's disk."""
    path = tmp_path_factory.mktemp("canary") / "canary"
    path.write_text(uuid.uuid4().hex)
    return path


@pytest.fixture
def markers(tank: Tank) -> Iterator[list[str]]:
    """Last words of the command lines of a process on this machine, and of one in another droplet."""
    here, there = uuid.uuid4().hex, uuid.uuid4().hex
    sleeper = f"python3 -c 'import time; time.sleep(600)' {there} >/dev/null 2>&1 & echo $!"
    code, number = tank.run(2, "sh", "-c", sleeper)
    assert code == 0, number
    with subprocess.Popen([sys.executable, "-c", "input()", here], stdin=subprocess.PIPE) as running:
        yield [here, there]
        assert running.poll() is None
    assert tank.run(2, "kill", number.strip())[0] == 0


@pytest.mark.parametrize("place", PLACES)
def test_nobody_gets_out_of_a_droplet(tank: Tank, canary: Path, markers: list[str], place: str) -> None:
    """Disks, settings, devices, processes, memory and kernel of the machine below are out of reach."""
    code, output = tank.run(1, "bash", "-c", IMAGE)
    assert code == 0, output
    given = json.dumps({"canary": [str(canary), canary.read_text()], "markers": markers})
    code, output = tank.run(1, *PLACES[place], "/usr/bin/python3", "-Ic", ATTACKS, given)
    assert code == 0, output
    assert {attack: reached for attack, reached in json.loads(output).items() if reached} == {}


def test_root_of_a_droplet_is_nobody_on_this_machine(tank: Tank) -> None:
    """Every process of a droplet runs under an id that nobody has here, but for the two that started it."""
    top = tank.engine.api.top(tank.container(1), ps_args="-eo pid,uid,args")
    owners = {(row[2].split()[0], int(row[1])) for row in top["Processes"]}
    assert {program for program, owner in owners if owner < 1 << 30} <= {"runc"}, owners
    assert ("/lib/systemd/systemd", 0x70000000) in owners


def test_a_droplet_has_a_number_of_tasks(tank: Tank) -> None:
    """A fork bomb in one takes the others' memory no more than this."""
    host: dict[str, Any] = tank.engine.api.inspect_container(tank.container(1))["HostConfig"]
    assert host["PidsLimit"] == 4096


@pytest.mark.parametrize("body", ["exec yes", "exec sleep 30", "sleep 30 & echo gone"])
def test_what_answers_in_a_droplet_without_end_costs_little(
    tank: Tank, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """Whoever is root there has put a program of his own into the place of one that we ask."""
    monkeypatch.setattr(droplets, "ASK_SECONDS", 1.0)
    program = "/usr/local/bin/journalctl"  # found before the real one
    write = f"printf '#!/bin/sh\\n{body}\\n' > {program}; chmod +x {program}"
    assert tank.run(3, "sh", "-c", write)[0] == 0
    try:
        started = time.monotonic()
        assert len(tank.plane.console("droplet:3")) < 2 << 20
        assert time.monotonic() - started < scaled(25), "it waited for the program's end"
    finally:
        tank.run(3, "rm", "-f", program)


def test_a_droplets_engine_is_its_own(tank: Tank) -> None:
    """What answers at the engine's socket in a droplet knows nothing of this machine's containers."""
    code, output = tank.run(1, "docker", "ps", "--all", "--format", "{{.Names}}")
    assert code == 0, output
    assert not any(name.startswith("wt-") for name in output.split())
    assert tank.run(1, "docker", "info", "--format", "{{.Name}}") == (0, "node-1\n")


def test_this_machines_loopback_is_out_of_reach(tank: Tank) -> None:
    """A server on this machine's loopback is met neither on a droplet's own nor at any gateway."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        met = {ip: tank.probe(1, ip, port) for ip in ("127.0.0.1", "10.1.0.1", "203.0.113.1")}
    assert "open" not in met.values(), met


def test_machines_of_another_emulator_are_out_of_reach(tank: Tank, own_tank: Tank) -> None:
    """Two emulators have the same networks and share none: an address of one leads nowhere in the other."""
    own_tank.add(droplet(7))
    own_tank.add(droplet(8))
    there = [own_tank.nodes[7].private.ip, own_tank.nodes[7].public.ip]
    assert [own_tank.probe(8, ip, 22) for ip in there] == ["open", "open"]
    assert [tank.probe(1, ip, 22) for ip in there] == ["filtered", "filtered"]

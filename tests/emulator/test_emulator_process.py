"""The emulator's process and real machines: neither takes the other down, and nothing is left behind."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from serving import Served, start

from emulator.docker.droplet import inside
from emulator.docker.engine import execute
from emulator.statedir import instance
from harness.core.wait import NotYet, wait_for

pytestmark = pytest.mark.docker

DROPLET = {
    "name": "web",
    "region": "fra1",
    "size": "s-1vcpu-1gb",
    "image": "ubuntu-24-04-x64",
    "tags": ["web"],
}
DATABASE = {"name": "main", "engine": "pg", "region": "fra1", "size": "db-s-1vcpu-1gb", "num_nodes": 1}
SSH = {"protocol": "tcp", "ports": "22", "sources": {"addresses": ["0.0.0.0/0"]}}
BOOT = 120.0


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state directory whose machines are removed afterwards."""
    state = tmp_path / "tank"
    yield state
    if state.exists():
        _emulator("destroy", "--state", str(state))


def test_a_killed_server_leaves_its_machines_to_the_next(state: Path) -> None:
    """A kill -9 in the middle of a boot: the next server has the same droplet, up, with its firewall."""
    first = start(state, plane="docker")
    with _client(first) as https:
        _made(https.post("/v2/tags", json={"name": "web"}))
        wall = {"name": "web", "tags": ["web"], "inbound_rules": [SSH]}
        firewall = _made(https.post("/v2/firewalls", json=wall))["firewall"]["id"]
        droplet = _made(https.post("/v2/droplets", json=DROPLET))["droplet"]
    first.kill()
    second = start(state, plane="docker")
    try:
        with _client(second) as https:
            after = _await_active(https, droplet["id"])
            assert after["networks"] == droplet["networks"]
            shown = https.get(f"/v2/firewalls/{firewall}").json()["firewall"]
            assert (shown["status"], shown["pending_changes"]) == ("succeeded", [])
        before = _machines(state)
        assert len(before) == 1
        second.kill()
        third = start(state, plane="docker")
        third.process.terminate()
        third.process.wait(30)
        assert _machines(state) == before, "a restart touches no machine"
    finally:
        second.kill()


def test_what_is_done_to_containers_by_hand_is_noticed(state: Path) -> None:
    """docker kill, start, restart and rm, of droplet, cluster, fabric: reported in seconds, and restored."""
    server = start(state, plane="docker")
    engine = docker.from_env()
    try:
        with _client(server) as https:
            droplet = _made(https.post("/v2/droplets", json=DROPLET))["droplet"]["id"]
            cluster = _made(https.post("/v2/databases", json=DATABASE))["database"]["id"]
            at, of = f"/v2/droplets/{droplet}", f"/v2/databases/{cluster}"
            _await_status(https, at, "active")
            _await_status(https, of, "online")
            machine = engine.containers.get(_name(state, f"droplet-{droplet}"))
            database = engine.containers.get(_name(state, f"database-{cluster}"))

            machine.kill()
            database.stop(timeout=10)
            _await_status(https, at, "off")
            _await_status(https, of, "creating")
            machine.start()
            database.start()
            _await_status(https, at, "active")
            _await_status(https, of, "online")
            assert b"eth1:" in execute(engine, machine.id, inside(["cat", "/proc/net/dev"]))[1]
            seen = len(_events(https))
            machine.restart(timeout=0)
            _await_event(https, seen, "is connected again")
            _await_status(https, at, "active")

            engine.containers.get(_name(state, "fabric")).remove(force=True)
            _await_event(https, seen, "is made anew")
            _await_running(engine, _name(state, "fabric"))

            machine.remove(force=True, v=True)
            database.remove(force=True, v=True)
            _await_event(https, seen, "and its disk with it")
            _await_event(https, seen, "and its data with it")
            _await_status(https, at, "off")
            _await_status(https, of, "creating")
            assert "its disk" in https.get(f"/_wavetank/console/droplet/{droplet}").json()["error"]
            action = _made(https.post(f"{at}/actions", json={"type": "power_on"}))["action"]["id"]
            _await_status(https, f"/v2/actions/{action}", "errored")
            _made(https.post(f"{at}/actions", json={"type": "rebuild", "image": DROPLET["image"]}))
            _await_status(https, at, "active")
    finally:
        engine.close()
        server.kill()


def test_sweep_removes_what_lost_its_directory(state: Path) -> None:
    """A tank whose directory was deleted is found by its labels."""
    server = start(state, plane="docker")
    with _client(server) as https:
        _await_active(https, _made(https.post("/v2/droplets", json=DROPLET))["droplet"]["id"])
    server.kill()
    shutil.rmtree(state)
    assert _machines(state)
    done = _emulator("sweep")
    assert str(state) in done.stdout
    assert not _machines(state, fabric=True)


def _emulator(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "emulator", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True)


def _client(server: Served) -> httpx.Client:
    context = ssl.create_default_context(cafile=server.ca_file)
    headers = {"Authorization": f"Bearer {server.token}"}
    return httpx.Client(base_url=server.https, verify=context, headers=headers, trust_env=False)


def _made(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def _await_active(https: httpx.Client, droplet_id: int) -> Any:
    def probe() -> Any:
        shown = https.get(f"/v2/droplets/{droplet_id}").json()["droplet"]
        if shown["status"] != "active":
            raise NotYet(shown["status"])
        return shown

    return wait_for("the droplet to be active", probe, deadline=BOOT)


def _await_status(https: httpx.Client, path: str, status: str) -> None:
    def probe() -> None:
        (shown,) = _made(https.get(path)).values()
        if shown["status"] != status:
            raise NotYet(f"{shown['status']}; {_events(https)}")

    wait_for(f"{path} to be {status}", probe, deadline=BOOT, max_pause=0.3)


def _events(https: httpx.Client) -> Any:
    return _made(https.get("/_wavetank/events"))["events"]


def _await_event(https: httpx.Client, after: int, word: str) -> None:
    def probe() -> None:
        if not any(word in each["text"] for each in _events(https)[after:]):
            raise NotYet(str(_events(https)))

    wait_for(f"{word!r} to be told", probe, deadline=BOOT, max_pause=0.3)


def _await_running(engine: docker.DockerClient, name: str) -> None:
    def probe() -> None:
        if not engine.api.containers(filters={"name": f"^/{name}$", "status": "running"}):
            raise NotYet(name)

    wait_for(f"{name} to run", probe, deadline=BOOT)


def _name(state: Path, what: str) -> str:
    return f"wt-{instance(state)}-{what}"


def _machines(state: Path, *, fabric: bool = False) -> set[tuple[str, str]]:
    """Id and start of this tank's running machines."""
    labels = [f"wavetank.state={state}"] + ([] if fabric else ["wavetank.ref"])
    engine = docker.from_env()
    try:
        found = engine.containers.list(all=True, filters={"label": labels})
        return {(str(machine.id), machine.attrs["State"]["StartedAt"]) for machine in found}
    finally:
        engine.close()

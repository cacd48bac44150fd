"""The server as a process: ports, certificates, locks, signals, and what a kill -9 leaves."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving import ENDED, Served, served, start

from emulator.api.server import listen
from harness.core.wait import NotYet, wait_for

BODY = {"region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64", "tags": ["run"]}
DATABASE = {"name": "main", "engine": "pg", "region": "fra1", "size": "db-s-1vcpu-1gb", "num_nodes": 1}
SERVE = [sys.executable, "-m", "emulator", "serve", "--plane", "memory", "--state"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests that only ask."""
    with served(tmp_path_factory.mktemp("server")) as server:
        yield server


def client(server: Served) -> httpx.Client:
    """A client that trusts the server's CA and nothing else."""
    import ssl

    context = ssl.create_default_context(cafile=server.ca_file)
    headers = {"Authorization": f"Bearer {server.token}"}
    return httpx.Client(base_url=server.https, verify=context, headers=headers, trust_env=False)


def test_both_ports_answer(server: Served) -> None:
    """https with a certificate of the emulator's own CA, http without."""
    with client(server) as https:
        assert https.get("/v2/account").json()["account"]["status"] == "active"
    headers = {"Authorization": f"Bearer {server.token}"}
    assert httpx.get(f"{server.http}/v2/account", headers=headers, trust_env=False).status_code == 200


def test_answers_on_a_kept_connection_do_not_wait_for_acknowledgements() -> None:
    """As asyncio sees to for sockets that it knows to be TCP's."""

    async def accepted() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sock = writer.get_extra_info("socket")
            found.set_result(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = listen("127.0.0.1", 0)
        async with await asyncio.start_server(serve, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            writer.close()
            return await asyncio.wait_for(found, 10)

    assert asyncio.run(accepted()) != 0


def test_links_have_the_scheme_and_host_of_the_request(server: Served) -> None:
    """A client behind another name is led back to it."""
    headers = {"Authorization": f"Bearer {server.token}", "Host": "tank.example:99"}
    page = httpx.get(f"{server.http}/v2/sizes?per_page=1", headers=headers, trust_env=False).json()
    assert page["links"]["pages"]["next"] == "http://tank.example:99/v2/sizes?per_page=1&page=2"


def test_answers_without_a_body_have_none(server: Served) -> None:
    """204 is empty; a quoted colon in a path is a colon."""
    with client(server) as https:
        assert https.post("/v2/tags", json={"name": "a:b"}).status_code == 201
        answer = https.delete("/v2/tags/a%3Ab")
        assert (answer.status_code, answer.content) == (204, b"")


def test_secrets_are_for_their_owner_only(server: Served) -> None:
    """Token and keys are not readable by others, nor in the log."""
    for name in ("endpoint.json", "tls/server-key.pem", "tls/ca-key.pem", "log", "state.db"):
        assert not stat.S_IMODE((server.state / name).stat().st_mode) & 0o077, name
    assert server.token not in (server.state / "log").read_text()


def test_a_second_server_of_a_state_says_who_serves_it(server: Served) -> None:
    """And leaves it alone."""
    done = subprocess.run(
        [*SERVE, str(server.state)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 3
    assert f"is served already, by process {server.process.pid}" in done.stderr
    assert json.loads((server.state / "endpoint.json").read_text())["pid"] == server.process.pid


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """With an exit code, and no endpoint file."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        argv = [*SERVE, str(tmp_path), "--https-port", str(port)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 3
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "endpoint.json").exists()


def test_a_plane_that_cannot_start_ends_the_server(tmp_path: Path) -> None:
    """Loudly, before anything is served."""
    import os

    environment = {**os.environ, "WAVETANK_MEMORY_FAULTS": json.dumps({"apply": "no nft"})}
    done = subprocess.run(
        [*SERVE, str(tmp_path)], capture_output=True, text=True, timeout=30, check=False, env=environment
    )
    assert (done.returncode, "no nft" in done.stderr) == (3, True)
    assert not (tmp_path / "endpoint.json").exists()


def test_a_state_keeps_its_plane(tmp_path: Path) -> None:
    """Machines of one plane are not left behind by another."""
    with served(tmp_path):
        pass
    argv = [sys.executable, "-m", "emulator", "serve", "--plane", "docker", "--state", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, "memory plane" in done.stderr) == (3, True)


def test_sigterm_ends_in_good_order(tmp_path: Path) -> None:
    """Machines stay; the endpoint file goes; the next server has the same token and ports."""
    first = start(tmp_path)
    with client(first) as https:
        made = https.post("/v2/droplets", json={**BODY, "name": "web"}).json()["droplet"]["id"]
        _await(https, f"/v2/droplets/{made}", "droplet", "active")
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(ENDED) == 0
    assert not (tmp_path / "endpoint.json").exists()
    with served(tmp_path) as second, client(second) as https:
        assert (second.token, second.https, second.http) == (first.token, first.https, first.http)
        assert https.get(f"/v2/droplets/{made}").json()["droplet"]["status"] == "active"


def test_nothing_that_was_answered_is_lost_by_a_kill(tmp_path: Path) -> None:
    """Killed with everything half done, a server's successor has all of it and finishes the work."""
    first = start(tmp_path, environment={"WAVETANK_MEMORY_DELAY": "600"})
    with client(first) as https:
        names = {"names": [f"d{number}" for number in range(7)]}
        droplets = https.post("/v2/droplets", json={**BODY, **names}).json()["droplets"]
        database = https.post("/v2/databases", json=DATABASE).json()["database"]["id"]
        gone = droplets.pop()["id"]
        assert https.delete(f"/v2/droplets/{gone}").status_code == 204
        first.kill()
    with served(tmp_path) as second, client(second) as https:
        for droplet in droplets:
            after = _await(https, f"/v2/droplets/{droplet['id']}", "droplet", "active")
            assert after["networks"] == droplet["networks"]
        _await(https, f"/v2/databases/{database}", "database", "online")
        assert https.get(f"/v2/droplets/{gone}").status_code == 404
        assert https.get("/v2/droplets?tag_name=run").json()["meta"]["total"] == 6
        actions = https.get("/v2/actions").json()["actions"]
        assert {action["status"] for action in actions if action["resource_id"] != gone} == {"completed"}


def test_destroy_removes_the_state(tmp_path: Path) -> None:
    """But not while a server has it."""
    argv = [sys.executable, "-m", "emulator", "destroy", "--state", str(tmp_path / "tank")]
    with served(tmp_path / "tank"):
        busy = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (busy.returncode, "is served already" in busy.stderr) == (3, True)
    subprocess.run(argv, check=True, timeout=30)
    assert not (tmp_path / "tank").exists()
    again = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (again.returncode, "not an emulator's directory" in again.stderr) == (3, True)


def _await(https: httpx.Client, path: str, kind: str, status: str) -> dict[str, object]:
    def probe() -> dict[str, object]:
        shown: dict[str, object] = https.get(path).json()[kind]
        if shown["status"] != status:
            raise NotYet(str(shown))
        return shown

    return wait_for(f"{path} to be {status}", probe, deadline=20)

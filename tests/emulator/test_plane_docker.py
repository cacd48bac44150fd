"""The Docker plane's life cycle: power, restarts, lost fabrics, two at once, and nothing left."""

from __future__ import annotations

import gc
import http.client
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import docker
import pytest
from tank import Tank, droplet, socks_banner, tcp

from emulator.docker import DockerPlane
from emulator.docker import plane as plane_module
from emulator.docker.engine import execute
from emulator.planes.base import PlaneError
from harness.core.wait import NotYet, wait_for

pytestmark = pytest.mark.docker

ONE, TWO = "10.1.0.10", "10.1.0.11"
ONE_PUBLIC = "203.0.113.10"


def host_network() -> tuple[Any, Any, str]:
    """Routes, bridges and filters of the machine that runs the engine."""
    routes = subprocess.run(["ip", "-json", "route"], capture_output=True, check=True).stdout
    links = subprocess.run(["ip", "-json", "link"], capture_output=True, check=True).stdout
    # The engine itself needs iptables; nft shows more, where it is installed.
    command = ["nft", "list", "ruleset"] if shutil.which("nft") else ["iptables-save"]
    rules = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = {link["ifname"] for link in json.loads(links) if not link["ifname"].startswith("veth")}
    counted = ("#", ":")  # iptables-save's dates and packet counts
    lines = [line for line in rules.splitlines() if not line.startswith(counted)]
    others = [line for line in lines if "172.17." not in line and "packets" not in line]
    return json.loads(routes), names, "\n".join(others)


def test_power_cycle_keeps_disk_and_policy(tank: Tank) -> None:
    """A droplet that comes back has its disk, its addresses, and is filtered from the first packet on."""
    assert tank.run(2, "sh", "-c", "echo kept > /root/file")[0] == 0
    tank.plane.power_off(2)
    assert tank.plane.existing().machines["droplet:2"] == "stopped"
    assert tank.probe(1, TWO, 22) == "filtered"
    tank.plane.power_on(tank.nodes[2], tank.policy(n2=((tcp(9),), ())))
    assert tank.plane.existing().machines["droplet:2"] == "running"
    assert tank.run(2, "cat", "/root/file") == (0, "kept\n")
    assert tank.probe(1, TWO, 22) == "filtered"
    assert tank.probe(1, TWO, 9) == "closed"


def test_shutdown_stops_cleanly(tank: Tank) -> None:
    """Shutdown lets systemd stop its services."""
    tank.plane.shutdown(2)
    state = tank.engine.api.inspect_container(tank.container(2))["State"]
    assert not state["Running"]
    assert state["ExitCode"] != 137
    tank.plane.power_on(tank.nodes[2], tank.policy())
    assert tank.probe(1, TWO, 22) == "open"


def test_probe_sources_come_from_their_own_addresses(tank: Tank) -> None:
    """The operator's proxy and the internet's are told apart by firewalls."""
    info = tank.plane.info()
    assert socks_banner(info.internet_proxy, ONE_PUBLIC, 22).startswith("SSH-")
    tank.rules(n1=((tcp(22, f"{info.operator_ip}/32"),), ()))
    assert socks_banner(info.proxy, ONE_PUBLIC, 22).startswith("SSH-")
    with pytest.raises(OSError, match=r"timed out|SOCKS"):
        socks_banner(info.internet_proxy, ONE_PUBLIC, 22, seconds=1)


def test_probe_sources_reach_no_private_address_and_not_the_host(tank: Tank) -> None:
    """Beyond the fabric there are public addresses only, and no way out through Docker's bridge."""
    info = tank.plane.info()
    for target in (ONE, "172.17.0.1", "127.0.0.1"):
        with pytest.raises(OSError, match=r"timed out|SOCKS"):
            socks_banner(info.proxy, target, 22, seconds=1)


def test_restarted_plane_attaches_to_what_runs(tank: Tank) -> None:
    """A new server finds machines and rules as they were, and rules stay in force meanwhile."""
    tank.rules(n2=((), ()))
    again = DockerPlane(tank.instance, tank.plane._owner.state_dir)
    again.start()
    try:
        assert again.existing().machines["droplet:1"] == "running"
        assert tank.probe(1, TWO, 22) == "filtered"
        again.apply(tank.policy())
        assert tank.probe(1, TWO, 22) == "open"
    finally:
        again.close()
        tank.plane.close()
        tank.plane.start()


def test_restarted_plane_takes_away_what_an_earlier_one_made(tank: Tank) -> None:
    """A new server knows whose gates are there: those of a droplet that is destroyed go, the others stay."""
    tank.add(droplet(22))
    before = set(tank.plane.fabric.call("filtered_links"))
    again = DockerPlane(tank.instance, tank.plane._owner.state_dir)
    again.start()
    try:
        again.destroy_droplet(22)
        del tank.nodes[22]
        again.apply(tank.policy())  # the first rules that it loads, and the droplet is gone already
        assert before - set(again.fabric.call("filtered_links")) == {"d22e0", "d22e1"}
        assert tank.probe(1, TWO, 22) == "open"
    finally:
        again.close()
        tank.plane.close()
        tank.plane.start()


def test_creating_again_changes_nothing(tank: Tank) -> None:
    """A repeated create finds the droplet and keeps it."""
    before = tank.engine.api.inspect_container(tank.container(1))["State"]["StartedAt"]
    tank.plane.create_droplet(tank.nodes[1], tank.policy())
    assert tank.engine.api.inspect_container(tank.container(1))["State"]["StartedAt"] == before


def test_lost_fabric_is_made_anew_with_its_rules(own_tank: Tank) -> None:
    """After the fabric container is killed, the next call wires everything again under the same policy."""
    own_tank.add(droplet(1))
    own_tank.add(droplet(2))
    own_tank.rules(n2=((tcp(9),), ()))
    own_tank.engine.containers.get(f"wt-{own_tank.instance}-fabric").kill()
    own_tank.plane.counters()
    assert own_tank.probe(1, TWO, 22) == "filtered"
    assert own_tank.probe(1, TWO, 9) == "closed"
    assert own_tank.run(1, "curl", "-sf", "http://169.254.169.254/metadata/v1/id") == (0, "1")


def test_new_plane_without_fabric_is_shut_until_it_has_a_policy(own_tank: Tank) -> None:
    """A server that starts after the fabric was lost lets nothing pass before it knows the rules."""
    own_tank.add(droplet(1))
    own_tank.add(droplet(2))
    own_tank.plane.close()
    own_tank.engine.containers.get(f"wt-{own_tank.instance}-fabric").kill()
    own_tank.plane = DockerPlane(own_tank.instance, own_tank.plane._owner.state_dir)
    own_tank.plane.start()
    assert own_tank.probe(1, TWO, 22) == "filtered"
    own_tank.rules()
    assert own_tank.probe(1, TWO, 22) == "open"


def test_two_tanks_with_the_same_addresses_do_not_meet(tank: Tank, own_tank: Tank) -> None:
    """Another emulator has the same droplet at the same address, and neither notices."""
    own_tank.add(droplet(1))
    own_tank.rules(n1=((), ()))
    assert tank.probe(2, ONE, 22) == "open"
    info, other = tank.plane.info(), own_tank.plane.info()
    assert socks_banner(info.proxy, ONE_PUBLIC, 22).startswith("SSH-")
    with pytest.raises(OSError, match=r"timed out|SOCKS"):
        socks_banner(other.proxy, ONE_PUBLIC, 22, seconds=1)
    assert set(own_tank.plane.existing().machines) == {"droplet:1"}


def test_nothing_is_left_and_the_host_is_untouched(tmp_path: Path) -> None:
    """Destroying removes containers, volumes and records; the machine's own network is as before."""
    before = host_network() if os.geteuid() == 0 else None
    tank = Tank.new(tmp_path)
    try:
        tank.add(droplet(1))
        assert len(tank.left()) == 3
        during = host_network() if before else None
        assert during == before
    finally:
        tank.plane.destroy_all()
    assert tank.left() == []
    assert list(tmp_path.iterdir()) == []
    if before:
        assert host_network() == before
    tank.engine.close()


def test_destroyed_droplet_leaves_no_trace_in_the_fabric(tank: Tank) -> None:
    """Container, volume, links, rules and metadata of a destroyed droplet are gone; twice is fine."""
    tank.add(droplet(21))
    tank.plane.destroy_droplet(21)
    tank.plane.destroy_droplet(21)
    del tank.nodes[21]
    assert "droplet:21" not in tank.plane.existing().machines
    assert not [name for name in tank.plane.fabric.call("links") if name.startswith("d21e")]
    assert "droplet:21" not in {counter["ref"] for counter in tank.plane.counters()}


def test_rebuild_gives_a_fresh_disk(tank: Tank) -> None:
    """A rebuilt droplet has lost its files and kept its address."""
    assert tank.run(2, "touch", "/root/file2")[0] == 0
    tank.plane.rebuild_droplet(tank.nodes[2], tank.policy())
    assert tank.run(2, "test", "-e", "/root/file2")[0] == 1
    assert tank.probe(1, TWO, 22) == "open"


def test_full_disk_is_said_before_anything_is_made(tank: Tank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little space is an error that says how much there is, and no container is made."""
    monkeypatch.setattr(plane_module, "MIN_FREE_BYTES", 2**60)
    with pytest.raises(PlaneError, match="disk is nearly full"):
        tank.plane.create_droplet(droplet(22), tank.policy())
    assert "droplet:22" not in tank.plane.existing().machines


def test_droplet_that_never_boots_is_an_error_with_its_console(
    tank: Tank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A droplet whose sshd does not answer in time is reported with what was seen last."""
    monkeypatch.setattr(plane_module, "BOOT_SECONDS", 0.0)
    monkeypatch.setattr(plane_module, "SSH_PORT", 9)
    try:
        with pytest.raises(PlaneError, match=r"sshd of droplet:23 .*refused"):
            tank.plane.create_droplet(droplet(23), tank.policy())
    finally:
        tank.plane.destroy_droplet(23)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_missing_engine_is_an_error_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no engine answers, the error says what to do."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(PlaneError, match="start Docker"):
        DockerPlane("none", tmp_path).start()
    # The SDK leaves its socket to the garbage collector when nobody answers; no other test shall be blamed.
    gc.collect()


@pytest.mark.parametrize(("capability", "said"), [("NET_ADMIN", "NET_ADMIN"), ("SYS_ADMIN", "SYS_ADMIN")])
def test_fabric_without_a_capability_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capability: str, said: str
) -> None:
    """If rules could not be enforced the plane refuses to start, says why, and leaves nothing."""
    from emulator.docker.fabric import container

    kept = [name for name in container.CAPABILITIES if name != capability]
    monkeypatch.setattr(container, "CAPABILITIES", kept)
    instance = f"weak-{capability.lower()[:3]}{os.getpid()}"
    plane = DockerPlane(instance, tmp_path)
    with pytest.raises(PlaneError, match=said):
        plane.start()
    leftovers = docker.from_env()
    try:
        assert leftovers.api.containers(all=True, filters={"label": f"wavetank.emulator={instance}"}) == []
    finally:
        leftovers.close()


def test_what_a_program_wrote_is_not_lost_when_it_comes_with_the_headers(
    tank: Tank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a busy machine: by the time that the answer is looked at, the program has ended."""
    begin = http.client.HTTPResponse.begin

    def late(response: Any) -> None:
        def all_is_there() -> None:
            got = response.fp.raw._sock.recv(65_536, socket.MSG_PEEK)
            if b"stream" in got and b"here" not in got:
                raise NotYet(str(got))

        wait_for("the output behind the headers", all_is_there, deadline=20)
        begin(response)

    monkeypatch.setattr(http.client.HTTPResponse, "begin", late)
    assert execute(tank.engine, f"wt-{tank.instance}-fabric", ["echo", "here"]) == (0, b"here\n")

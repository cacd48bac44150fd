"""Droplets' and databases' containers, as data."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from emulator.docker.droplet import check_machine, engine_settings, host_config, seed
from emulator.docker.engine import Owner
from emulator.docker.fabric.links import database_machine, droplet_machine
from emulator.docker.images.source import IMAGES
from emulator.docker.images.userns import ROOT, mapping, move_owners
from emulator.docker.records import Records
from emulator.planes.base import Address, DatabaseSpec, DropletSpec, PlaneError

PUBLIC = Address("203.0.113.10", 24, "203.0.113.1")
OWNER = Owner("test", Path("/tank"))


def spec(public: Address | None = PUBLIC) -> DropletSpec:
    """A droplet."""
    private = Address("10.1.0.10", 20, "10.1.0.1")
    return DropletSpec(
        7, "web", "ubuntu", 2, 512, "v", "10.1.0.0/20", public, private, ("ssh-ed25519 AAAA me\n",),
        "#!/bin/sh\n", {"droplet_id": 7},
    )  # fmt: skip


def test_default_route_is_public_unless_there_is_none() -> None:
    """A private droplet routes through its VPC's gateway."""
    assert [(link.device, link.default) for link in droplet_machine(spec()).links] == [
        ("eth0", True),
        ("eth1", False),
    ]
    assert [(link.device, link.default) for link in droplet_machine(spec(None)).links] == [("eth1", True)]


def test_mac_addresses_are_stable_and_local() -> None:
    """The same interface has the same address after every boot, from the locally administered range."""
    first, second = (droplet_machine(spec()).links for _ in range(2))
    assert first == second
    assert all(link.mac.startswith("02:") for link in first)
    assert first[0].mac != first[1].mac


def test_database_has_both_names() -> None:
    """Public and private host names lead to their own addresses."""
    private = Address("10.1.0.20", 20, "10.1.0.1")
    database = DatabaseSpec(
        "id", "db", "pg", "15", 512, "v", "10.1.0.0/20", PUBLIC, private, "a.b", "private-a.b", 1, "u", "p"
    )
    assert database_machine(database).hosts == {"a.b": "203.0.113.10", "private-a.b": "10.1.0.20"}


@pytest.mark.parametrize(
    "vpc", ["10.1.0.0/20", "172.16.0.0/16", "172.20.0.0/16", "192.168.0.0/16", "192.168.7.0/24"]
)
def test_droplets_own_bridges_stay_away_from_the_vpc(vpc: str) -> None:
    """Neither the default bridge nor compose's networks overlap the VPC, or the documentation's range."""
    settings = engine_settings(vpc)
    pools = [IPv4Network(pool["base"]) for pool in settings["default-address-pools"]]
    bridges = [IPv4Network(settings["bip"], strict=False), *pools]
    assert not any(
        bridge.overlaps(IPv4Network(other)) for bridge in bridges for other in (vpc, "203.0.113.0/24")
    )
    assert not any(bridges[0].overlaps(pool) for pool in pools)


def test_droplet_has_its_memory_and_a_weight() -> None:
    """Memory is a limit, vCPUs are a share."""
    host = host_config(OWNER, spec(), raise_limits=False)
    assert host["Memory"] == 512 * 1024 * 1024
    assert host["CpuShares"] == 2048
    assert host["NetworkMode"] == "none"


@pytest.mark.parametrize(("memory", "tasks"), [(512, 4096), (1024, 4096), (8192, 32768)])
def test_droplet_has_a_number_of_tasks(memory: int, tasks: int) -> None:
    """Never without a limit, and more for a larger one."""
    assert host_config(OWNER, replace(spec(), memory_mb=memory), raise_limits=False)["PidsLimit"] == tasks


def test_limits_are_raised_only_where_the_machine_can() -> None:
    """An engine refuses to start a container with limits above those of its own machine."""
    assert host_config(OWNER, spec(), raise_limits=False)["Ulimits"] == []
    names = {limit["Name"] for limit in host_config(OWNER, spec(), raise_limits=True)["Ulimits"]}
    assert names == {"nofile", "memlock", "core", "nproc"}


def test_a_droplets_container_is_not_given_what_lets_its_root_out() -> None:
    """What starts a droplet has no more than it needs; the droplet itself is below, in a namespace."""
    assert host_config(OWNER, spec(), raise_limits=True)["CapDrop"] == ["ALL"]
    granted = set(host_config(OWNER, spec(), raise_limits=True)["CapAdd"])
    assert granted.isdisjoint(
        {
            "DAC_READ_SEARCH",
            "SYS_MODULE",
            "SYS_RAWIO",
            "SYS_TIME",
            "SYS_BOOT",
            "SYSLOG",
            "BPF",
            "SYS_RESOURCE",
        }
    )


def test_without_user_namespaces_there_is_no_droplet() -> None:
    """A firewall that this machine cannot have is never silently left out."""
    check_machine({"user_namespaces": True})
    with pytest.raises(PlaneError, match=r"max_user_namespaces.*--isolation vm"):
        check_machine({"user_namespaces": False})


def test_bundle_maps_root_to_nobody_and_filters_calls() -> None:
    """Users and groups alike, into a range that no distribution gives to anybody (systemd's UIDS-GIDS.md)."""
    linux = json.loads((IMAGES / "droplet" / "config.json").read_text())["linux"]
    assert linux["uidMappings"] == linux["gidMappings"]
    assert linux["uidMappings"] == [{"containerID": 0, **mapping()}]
    assert mapping()["hostID"] == ROOT == 0x70000000
    assert {"type": "user"} in linux["namespaces"]
    refused = {name for rule in linux["seccomp"]["syscalls"] for name in rule["names"] if "args" not in rule}
    assert {"open_by_handle_at", "bpf", "kexec_load", "perf_event_open", "init_module", "syslog"} <= refused


def test_owners_are_moved_and_nothing_else(tmp_path: Path) -> None:
    """Files, links and modes stay; devices, which a droplet's root could not have, are left out."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, kind, owner in (
            ("a", tarfile.REGTYPE, 0),
            ("b", tarfile.LNKTYPE, 5),
            ("c", tarfile.CHRTYPE, 0),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.uid, entry.gid, entry.mode = kind, owner, owner + 1, 0o4755
            entry.linkname = "a" if kind == tarfile.LNKTYPE else ""
            entry.size = 3 if kind == tarfile.REGTYPE else 0
            archive.addfile(entry, io.BytesIO(b"abc"))
    packed.seek(0)
    move_owners(packed, tmp_path / "moved.tar")
    with tarfile.open(tmp_path / "moved.tar") as moved:
        found = {
            entry.name: (entry.uid - ROOT, entry.gid - ROOT, entry.mode, entry.linkname) for entry in moved
        }
        content = moved.extractfile("a")
        assert content is not None
        assert content.read() == b"abc"
    assert found == {"a": (0, 1, 0o4755, ""), "b": (5, 6, 0o4755, "a")}


def test_seed_is_readable_by_root_only() -> None:
    """Keys, user_data and the engine's configuration, one key a line, in the droplet's file system."""
    with tarfile.open(fileobj=io.BytesIO(seed(spec()))) as archive:
        entries = archive.getmembers()
        keys = archive.extractfile("droplet/rootfs/root/.ssh/authorized_keys")
        assert keys is not None
        assert keys.read() == b"ssh-ed25519 AAAA me\n"
    names = {"hostname", "hosts", "resolv.conf"}
    files = {entry.name: entry for entry in entries if entry.isfile()}
    assert {entry.mode for name, entry in files.items() if Path(name).name not in names} == {0o600}
    assert {entry.mode for name, entry in files.items() if Path(name).name in names} == {0o644}
    assert {(entry.uid, entry.gid) for entry in entries} == {(ROOT, ROOT)}
    assert "droplet/rootfs/etc/docker/daemon.json" in files


def test_record_comes_back_as_it_was(tmp_path: Path) -> None:
    """A machine written down is found again, privately, and forgotten on demand."""
    records, machine = Records(tmp_path), droplet_machine(spec())
    records.put(machine)
    assert Records(tmp_path).get("droplet:7") == machine
    assert records.all() == [machine]
    assert stat.S_IMODE((tmp_path / "machines" / "droplet-7.json").stat().st_mode) == 0o600
    records.forget("droplet:7")
    records.forget("droplet:7")
    assert records.get("droplet:7") is None


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"ref": "x"}), json.dumps({"ref": 1, "links": [{}]})])
def test_broken_record_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    """What is not a record is not guessed at."""
    records = Records(tmp_path)
    records.put(droplet_machine(spec()))
    (tmp_path / "machines" / "droplet-7.json").write_text(text)
    with pytest.raises(PlaneError, match=r"droplet-7\.json"):
        records.all()

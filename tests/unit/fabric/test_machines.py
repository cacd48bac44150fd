"""Droplets' and databases' containers, as data."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from emulator.fabric.links import database_machine, droplet_machine
from emulator.planes.base import Address, DatabaseSpec, DropletSpec, PlaneError
from emulator.planes.docker.capabilities import NAMES, droplet_capabilities
from emulator.planes.docker.droplet import engine_settings, host_config, seed
from emulator.planes.docker.engine import Owner
from emulator.planes.docker.records import Records

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


def test_capabilities_are_what_the_machine_has() -> None:
    """A bit that the machine lacks is not asked for, nor one that droplets must not have."""
    everything = (1 << 41) - 1
    without = everything & ~(1 << NAMES.index("SYS_RESOURCE"))
    assert "SYS_RESOURCE" in droplet_capabilities(everything)
    assert "SYS_RESOURCE" not in droplet_capabilities(without)
    assert "SYS_MODULE" not in droplet_capabilities(everything)
    assert "BPF" not in droplet_capabilities(everything)


def test_droplet_has_its_memory_and_a_weight() -> None:
    """Memory is a limit, vCPUs are a share."""
    host = host_config(OWNER, spec(), 0)
    assert host["Memory"] == 512 * 1024 * 1024
    assert host["CpuShares"] == 2048
    assert host["NetworkMode"] == "none"


def test_seed_is_readable_by_root_only() -> None:
    """Keys, user_data and the engine's configuration, one key a line."""
    with tarfile.open(fileobj=io.BytesIO(seed(spec()))) as archive:
        files = {entry.name: entry for entry in archive if entry.isfile()}
        keys = archive.extractfile("root/.ssh/authorized_keys")
        assert keys is not None
        assert keys.read() == b"ssh-ed25519 AAAA me\n"
    assert {entry.mode for entry in files.values()} == {0o600}
    assert "etc/docker/daemon.json" in files


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

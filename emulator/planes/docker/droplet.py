"""A droplet's container: its configuration and the files it is born with."""

from __future__ import annotations

import io
import json
import os
import tarfile
from ipaddress import IPv4Network
from typing import Any

from emulator.fabric import layout
from emulator.planes.base import DropletSpec
from emulator.planes.docker.capabilities import droplet_capabilities
from emulator.planes.docker.engine import Owner, anonymous_volume

KIND = "droplet"
ENGINE_SEED = "WAVETANK_ENGINE_SEED"
SEEDED = "/usr/local/share/wavetank/engine"
STOP_SIGNAL = "SIGRTMIN+3"
SHARES_PER_VCPU = 1024


def reference(droplet_id: int) -> str:
    """The plane's name for a droplet."""
    return f"droplet:{droplet_id}"


def container_name(owner: Owner, droplet_id: int) -> str:
    """The engine's name for a droplet."""
    return owner.name(f"droplet-{droplet_id}")


def host_config(owner: Owner, spec: DropletSpec, bounding_set: int) -> dict[str, Any]:
    """What a droplet may use. Memory is a hard limit; vCPUs are a weight, so that boots do not crawl."""
    return {
        "NetworkMode": "none",
        "CgroupnsMode": "private",
        "CapAdd": droplet_capabilities(bounding_set),
        "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
        "MaskedPaths": [],
        "ReadonlyPaths": [],
        "ExtraHosts": [f"{spec.name}:127.0.1.1"],
        "Dns": [layout.RESOLVER],
        "DnsSearch": ["."],
        "DnsOptions": ["timeout:1", "attempts:2"],
        "Memory": spec.memory_mb * 1024 * 1024,
        "CpuShares": SHARES_PER_VCPU * spec.vcpus,
        "Tmpfs": {"/run": "exec,mode=755", "/run/lock": "", "/tmp": "exec,mode=1777"},  # noqa: S108 (the guest's)
        "Mounts": [anonymous_volume("/var/lib/docker", owner.labels(KIND, reference(spec.id))), *_images()],
        "Sysctls": {"net.ipv6.conf.default.disable_ipv6": "1"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
    }


def _images() -> list[dict[str, Any]]:
    """What a droplet's engine begins with, as from a snapshot that has images in it; usually nothing.

    ``WAVETANK_ENGINE_SEED`` names a directory of the machine on which our engine runs.
    """
    source = os.environ.get(ENGINE_SEED, "")
    return [{"Type": "bind", "Source": source, "Target": SEEDED, "ReadOnly": True}] if source else []


def container_config(owner: Owner, spec: DropletSpec) -> dict[str, Any]:
    """The rest of a droplet's configuration."""
    return {
        "hostname": spec.name,
        "labels": owner.labels(KIND, reference(spec.id)),
        "stop_signal": STOP_SIGNAL,
        "environment": {"container": "docker"},
    }


def seed(spec: DropletSpec) -> bytes:
    """The archive a droplet's disk is seeded with: root's keys, user_data and its engine's configuration."""
    files = {
        "root/.ssh/authorized_keys": "".join(f"{key.strip()}\n" for key in spec.authorized_keys),
        "etc/docker/daemon.json": json.dumps(engine_settings(spec.vpc_range), indent=2) + "\n",
        "var/lib/cloud/seed/wavetank/user-data": spec.user_data,
    }
    return archive(files)


def engine_settings(vpc_range: str) -> dict[str, Any]:
    """``daemon.json``: bridges away from the VPC, and ``privileged`` that works wherever a droplet runs."""
    vpc = IPv4Network(vpc_range)
    space = next(pool for pool in _pools() if not any(net.overlaps(vpc) for net in pool))
    return {
        "default-runtime": "wavetank",
        "runtimes": {"wavetank": {"path": "/usr/local/sbin/wt-runc"}},
        "bip": f"{next(space[0].hosts())}/{space[0].prefixlen}",
        "default-address-pools": [{"base": str(net), "size": 20} for net in space[1:]],
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "2"},
    }


def _pools() -> list[list[IPv4Network]]:
    """Ranges for an engine's own bridges, the usual ones first."""
    usual = [IPv4Network(f"172.{second}.0.0/16") for second in range(17, 24)]
    other = [IPv4Network(f"192.168.{third}.0/20") for third in range(0, 256, 16)]
    return [usual, other]


def archive(files: dict[str, str]) -> bytes:
    """Pack texts by path, with their directories, for ``put_archive``; only root may read them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for directory in sorted({parent for path in files for parent in _parents(path)}):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o700 if directory.startswith("root") else 0o755
            tar.addfile(entry)
        for path, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o600
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]

"""A droplet's container: its configuration and the files it is born with.

The container runs ``boot`` (``images/droplet``), which has runc run the droplet in a user namespace: root in
a droplet, and in a privileged container inside of one, is an ordinary user of the machine below.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from emulator.docker.engine import Owner, anonymous_volume
from emulator.docker.fabric import layout
from emulator.docker.images.userns import ROOT
from emulator.planes.base import DropletSpec, PlaneError
from harness.core.wait import scaled

KIND = "droplet"
ENGINE_SEED = "WAVETANK_ENGINE_SEED"
SEEDED = "/usr/local/share/wavetank/engine"
STOP_SIGNAL = "SIGRTMIN+3"
SHARES_PER_VCPU = 1024
# runc's name for what runs in the container, and where its files are.
GUEST = "droplet"
ROOTFS = "droplet/rootfs/"
NO_USER_NAMESPACES = (
    "this kernel lets no user namespace be made; without one a droplet would have its root be root here: "
    "allow them (sysctl user.max_user_namespaces above 0), or run in a virtual machine: "
    "`wavetank run --isolation vm` (SECURITY.md)"
)
# What runc needs to make namespaces, mounts and a group for a droplet; none of them reaches into it.
# NET_ADMIN is for bpf(2), by which control groups of version 2 admit devices.
CAPABILITIES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "KILL",
    "MKNOD",
    "NET_ADMIN",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_CHROOT",
    "SYS_PTRACE",
]
ASK_SECONDS, ASK_BYTES = 10.0, 1024 * 1024
# Raising a limit takes CAP_SYS_RESOURCE on the machine, which a droplet's root never has.
UNLIMITED = [
    {"Name": "nofile", "Soft": 1048576, "Hard": 1048576},
    {"Name": "memlock", "Soft": 65536, "Hard": -1},
    {"Name": "core", "Soft": 0, "Hard": -1},
    {"Name": "nproc", "Soft": -1, "Hard": -1},
]


def reference(droplet_id: int) -> str:
    """The plane's name for a droplet."""
    return f"droplet:{droplet_id}"


def container_name(owner: Owner, droplet_id: int) -> str:
    """The engine's name for a droplet."""
    return owner.name(f"droplet-{droplet_id}")


def check_machine(features: Mapping[str, bool]) -> None:
    """Raise ``PlaneError`` where no user namespace can be made: no droplet ever runs without one."""
    if not features["user_namespaces"]:
        raise PlaneError(NO_USER_NAMESPACES)


def host_config(owner: Owner, spec: DropletSpec, *, raise_limits: bool) -> dict[str, Any]:
    """What a droplet's container may use. Memory is a hard limit; vCPUs are a weight: boots must not crawl.

    What has the capabilities is ``boot`` and runc; the droplet runs below, in a user namespace, and is nobody
    out here. That may mount a proc of its own only where this one is not masked. ``raise_limits``: whether
    this machine can give what compose files ask for (``ulimits``).
    """
    return {
        "NetworkMode": "none",
        "CgroupnsMode": "private",
        "CapDrop": ["ALL"],
        "CapAdd": CAPABILITIES,
        "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
        "MaskedPaths": [],
        "ReadonlyPaths": [],
        "Memory": spec.memory_mb * 1024 * 1024,
        "CpuShares": SHARES_PER_VCPU * spec.vcpus,
        "PidsLimit": pids_limit(spec),
        "Ulimits": UNLIMITED if raise_limits else [],
        "Tmpfs": {"/run": ""},
        "Mounts": [anonymous_volume("/var/lib/docker", owner.labels(KIND, reference(spec.id))), *_images()],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
    }


def pids_limit(spec: DropletSpec) -> int:
    """Tasks that a droplet may have: half of what Linux gives a machine of that memory (threads-max)."""
    return max(4096, 4 * spec.memory_mb)


def ask(argv: Sequence[str]) -> list[str]:
    """The command that asks a droplet something, as its root: for so long, and it may say so much, only.

    What runs is the droplet's own program, whatever the droplet's root made of it.
    """
    return ["/usr/local/sbin/ask", str(round(scaled(ASK_SECONDS))), str(ASK_BYTES), *argv]


def inside(argv: Sequence[str]) -> list[str]:
    """The command that runs another one in a droplet, as its root; for the engine's ``exec``."""
    return ["runc", "exec", GUEST, *argv]


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
    }


def seed(spec: DropletSpec) -> bytes:
    """A droplet's first files: its names, root's keys, user_data and its engine's configuration."""
    loopback = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
    files = {
        "etc/hostname": f"{spec.name}\n",
        "etc/hosts": f"{loopback}127.0.1.1 {spec.name}\n",
        "etc/resolv.conf": f"nameserver {layout.RESOLVER}\noptions timeout:1 attempts:2\n",
        "root/.ssh/authorized_keys": "".join(f"{key.strip()}\n" for key in spec.authorized_keys),
        "etc/docker/daemon.json": json.dumps(engine_settings(spec.vpc_range), indent=2) + "\n",
        "var/lib/cloud/seed/wavetank/user-data": spec.user_data,
    }
    return archive(files, below=ROOTFS, owner=ROOT, readable=("etc/hostname", "etc/hosts", "etc/resolv.conf"))


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


def archive(files: dict[str, str], *, below: str = "", owner: int = 0, readable: Sequence[str] = ()) -> bytes:
    """Pack texts by path, with their directories, for ``put_archive``.

    They go below the directory ``below``, and are ``owner``'s; others may read those that are ``readable``.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for directory in sorted({parent for path in files for parent in _parents(path)}):
            entry = tarfile.TarInfo(below + directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o700 if directory.startswith("root") else 0o755
            entry.uid = entry.gid = owner
            tar.addfile(entry)
        for path, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(below + path)
            entry.size, entry.mode = len(data), 0o644 if path in readable else 0o600
            entry.uid = entry.gid = owner
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]

"""What this kernel and engine can do, found out by trying."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path
from typing import Any

from wt_fabric.command import FabricError, run

NUMGEN = "numgen random mod 2 0 drop"
STATE = (
    "ip xfrm state add src 198.18.0.1 dst 198.18.0.2 proto esp spi 0x1 mode transport "
    "aead 'rfc4106(gcm(aes))' 0x0102030405060708090a0b0c0d0e0f1011121314 128"
)


def facts() -> dict[str, Any]:
    """The machine's bounding set (a number), and kernel features by name."""
    scratch = f"facts-{uuid.uuid4().hex[:8]}"

    def works(shell: str) -> bool:
        try:
            run("ip", "netns", "exec", scratch, "sh", "-ec", shell)
        except FabricError:
            return False
        return True

    run("ip", "netns", "add", scratch)
    try:
        features = {
            "ipvs": works("genl ctrl get name IPVS"),
            "esp": works(STATE),
            "netem": works("tc qdisc add dev lo root netem delay 1ms"),
            "vxlan": works("ip link add vx0 type vxlan id 1 dstport 4789"),
            "nft_numgen": works(
                f"nft add table inet t; nft add chain inet t c; nft add rule inet t c {NUMGEN}"
            ),
            "user_namespaces": works("unshare --user true"),
            "cgroup_v2": Path("/sys/fs/cgroup/cgroup.controllers").exists(),
            "sys_resource": bool(bounding_set() >> 24 & 1),
        }
    finally:
        with contextlib.suppress(FabricError):  # nothing depends on it
            run("ip", "netns", "del", scratch)
    return {"bounding_set": bounding_set(), "features": features}


def bounding_set() -> int:
    """The capabilities that the machine itself can give, as bits."""
    lines = Path("/proc/1/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapBnd:"))


def free_bytes() -> int:
    """What is free where the engine keeps containers."""
    disk = os.statvfs("/")
    return disk.f_bavail * disk.f_frsize

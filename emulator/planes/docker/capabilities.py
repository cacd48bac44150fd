"""Which capabilities a droplet gets: all that this machine has and every engine knows."""

from __future__ import annotations

# In the kernel's order, by bit. What follows (PERFMON, BPF, CHECKPOINT_RESTORE) engine 20.10 does not know.
NAMES = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
    SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
    SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
    WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
""".split()  # noqa: SIM905 (a list of 38 lines tells no more)
# A droplet must not set the machine's clock, load modules into its kernel or touch its hardware.
WITHHELD = frozenset({"SYS_MODULE", "SYS_RAWIO", "SYS_TIME", "SYS_BOOT", "MAC_ADMIN", "MAC_OVERRIDE"})


def droplet_capabilities(bounding_set: int) -> list[str]:
    """Names for ``CapAdd``. ``--privileged`` would fail where the machine lacks any."""
    return [name for bit, name in enumerate(NAMES) if bounding_set >> bit & 1 and name not in WITHHELD]

"""The guest's file system: Debian with its cloud kernel, an engine, and Wavetank's Python packages."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

from harness.core.paths import PROJECT
from harness.vm.cache import key
from harness.vm.command import run

SUITE = "bookworm"
PYTHON = "3.11"  # bookworm's
GUEST = Path(__file__).with_name("guest_root")
PACKAGES = (
    "busybox-static",
    "ca-certificates",
    "dbus",
    "docker.io",
    "iproute2",
    "iptables",
    "kmod",
    "linux-image-cloud-amd64",
    "nftables",
    "openssh-client",
    "openssh-server",
    "procps",
    "python3",
    "systemd",
    "systemd-sysv",
    "tcpdump",
    "udev",
    "zstd",
)
# Left out: what only a machine with people, hardware or a network of its own needs.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "ldconfig.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-networkd.service",
    "systemd-pstore.service",
    "systemd-timesyncd.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-update-done.service",
)
ENABLED = ("docker.service", "ssh.service", "wavetank-net.service")
MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr")
SITE = f"usr/local/lib/python{PYTHON}/dist-packages"
GLIBC = ("manylinux_2_36", "manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
# Our own initrd is made for each boot; Debian's would cost time and never be used.
NO_INITRD = (
    'mkdir -p "$1/etc/initramfs-tools";'
    ' echo update_initramfs=no > "$1/etc/initramfs-tools/update-initramfs.conf"'
)
BOOTSTRAP_SECONDS = 1200.0
INSTALL_SECONDS = 900.0
STEP_SECONDS = 300.0


def identity() -> str:
    """Changes with anything the root is made from."""
    files = sorted(path for path in GUEST.rglob("*") if path.is_file())
    texts = [f"{path.relative_to(GUEST)}\0{path.read_text()}" for path in files]
    return key(Path(__file__).read_text(), *requirements(), *texts)


def requirements(pyproject: Path = PROJECT / "pyproject.toml") -> list[str]:
    """What the project's own metadata asks for."""
    project = tomllib.loads(pyproject.read_text())["project"]
    return list(project["dependencies"])


def make_root(path: Path) -> None:
    """Make the file system as a directory. Raises ``CommandError``, ``EngineError``."""
    run(mmdebstrap_argv(path), deadline=BOOTSTRAP_SECONDS)
    shutil.copytree(GUEST, path, dirs_exist_ok=True)
    _in_root(path, "systemctl", "mask", *MASKED)
    _in_root(path, "systemctl", "enable", *ENABLED)
    _in_root(path, "systemctl", "set-default", "multi-user.target")
    for each in ("etc/machine-id", "etc/hostname"):
        (path / each).write_text("wavetank\n" if each.endswith("hostname") else "")
    for mount in ("opt/wavetank", "var/lib/docker"):
        (path / mount).mkdir(parents=True, exist_ok=True)
    (path / "etc/resolv.conf").unlink(missing_ok=True)
    (path / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    for initrd in (path / "boot").glob("initrd.img-*"):
        initrd.unlink()
    _install_packages(path / SITE)
    _in_root(path, "python3", "-m", "compileall", "-q", "-j", "0", f"/{SITE}")


def mmdebstrap_argv(path: Path) -> list[str]:
    """The command that makes the tree; it finds the Debian mirror by itself."""
    settings = PROJECT / "emulator" / "images" / "base"
    merged = [f"--hook-directory={MERGED_USR}"] if MERGED_USR.is_dir() else []
    return [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=minbase",
        *merged,
        f"--include={','.join(PACKAGES)}",
        f"--aptopt={settings / 'apt.conf'}",
        f"--dpkgopt={settings / 'dpkg.cfg'}",
        "--dpkgopt=force-confold",
        f"--essential-hook={NO_INITRD}",
        SUITE,
        str(path),
    ]


def compile_in(root: Path, tree: Path) -> None:
    """Compile the Python files of ``tree`` with ``root``'s own Python, as if it lay at ``/opt/wavetank``."""
    mount = root / "opt/wavetank"
    # Not what images are made from: files added there would give them other names.
    script = 'mount --bind "$1" "$2" && cd "$2" && chroot "$3" python3 -m compileall -q -j 0 -x /images/'
    script += " /opt/wavetank/harness /opt/wavetank/emulator /opt/wavetank/tests"
    arguments = ["compile", str(tree), str(mount), str(root)]
    run(["unshare", "--mount", "/bin/sh", "-c", script, *arguments], deadline=STEP_SECONDS)


def _install_packages(site: Path) -> None:
    """Install wheels for the guest's Python, whatever Python this is."""
    platforms = [f"--platform={glibc}_x86_64" for glibc in GLIBC]
    only = ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}", "--no-compile"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    with tempfile.TemporaryDirectory(prefix="wavetank-vm-") as scratch:
        listed = Path(scratch) / "requirements.txt"
        listed.write_text("\n".join(requirements()) + "\n")
        target = ["--target", str(site), "--upgrade", "--requirement", str(listed)]
        run([*pip, *only, *platforms, *target], deadline=INSTALL_SECONDS)


def _in_root(path: Path, *argv: str) -> None:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    run(["chroot", str(path), *argv], deadline=STEP_SECONDS, environment=environment)

"""What images begin with: Debian from mmdebstrap, or an official image where that cannot be had."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors

from emulator.docker.images.errors import ImageBuildError
from emulator.docker.images.source import IMAGES
from harness.core.names import DROPLET_SYSTEMS

TAIL = 15
SECONDS = 900
# Without this hook the usrmerge package brings 50 MB of perl.
MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr")
# The bootstrap copies the host's resolver and name into the tree; a machine gets its own.
INSTALL = "install mmdebstrap (apt-get install mmdebstrap debian-archive-keyring) or allow a pull"
FORGET_HOST = 'rm -f "$1/etc/resolv.conf" "$1/etc/hostname"'

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Root:
    """A root file system: ``name`` of its image, Debian's ``suite``, the ``official`` image of that suite.

    ``packages`` are in it where mmdebstrap makes it; the official image has none of them. Without a ``suite``
    it is no Debian, and only the official image will do.
    """

    name: str
    suite: str
    official: str
    packages: tuple[str, ...] = ("ca-certificates",)


BASE = Root("base", "bookworm", "debian:12-slim")
PACKAGES = tuple((IMAGES / "droplet-rootfs" / "packages.txt").read_text().split())
DROPLET = Root("droplet-base", "trixie", "debian:13-slim", PACKAGES)
# Ubuntu has the command line in docker.io, and calls Compose v2 what it is.
IN_UBUNTU = {"docker-cli": "docker.io", "docker-compose": "docker-compose-v2"}
UBUNTU = Root(
    "droplet-base-ubuntu", "", "ubuntu:24.04", tuple(dict.fromkeys(IN_UBUNTU.get(p, p) for p in PACKAGES))
)
# What droplets may be, by the name that a topology gives it.
DROPLETS: Mapping[str, Root] = dict(zip(DROPLET_SYSTEMS, (DROPLET, UBUNTU), strict=True))


def mmdebstrap_argv(program: str, root: Root, archive: Path) -> list[str]:
    """The command that makes a small Debian tree as a tar; it finds the Debian mirror by itself."""
    source = IMAGES / "base"
    merged = [f"--hook-directory={MERGED_USR}"] if MERGED_USR.is_dir() else []
    return [
        program,
        "--variant=minbase",
        *merged,
        f"--include={','.join(root.packages)}",
        f"--aptopt={source / 'apt.conf'}",
        f"--dpkgopt={source / 'dpkg.cfg'}",
        f"--customize-hook={FORGET_HOST}",
        "--quiet",
        root.suite,
        str(archive),
    ]


def make_root(client: docker.DockerClient, root: Root, reference: str, progress: Progress) -> str | None:
    """Make a root file system and tag it ``reference``.

    Where mmdebstrap cannot make it, the official image is pulled and its name returned: ``base/Dockerfile``
    must still be built on it. Raises ``ImageBuildError`` saying what was tried.
    """
    if not root.suite:
        _pull(client, root, progress, [], "let this machine's engine pull it, or have its droplets be Debian")
        return root.official
    program = shutil.which("mmdebstrap", path="/usr/local/bin:/usr/bin:/usr/sbin:/bin")
    problems = []
    if program is None:
        problems.append("mmdebstrap is not installed")
    else:
        try:
            _bootstrap(client, program, root, reference, progress)
        except ImageBuildError as error:
            progress(f"image {root.name}: mmdebstrap failed, trying {root.official}: {error.reason}")
            problems.append(str(error))
        else:
            return None
    _pull(client, root, progress, problems, INSTALL)
    return root.official


def _bootstrap(
    client: docker.DockerClient, program: str, root: Root, reference: str, progress: Progress
) -> None:
    with tempfile.TemporaryDirectory(prefix="wavetank-base-") as scratch:
        archive = Path(scratch) / "root.tar"
        progress(f"image {root.name}: mmdebstrap {root.suite}")
        _run(root, mmdebstrap_argv(program, root, archive))
        progress(f"image {root.name}: docker import")
        repository, tag = reference.rsplit(":", 1)
        changes = [
            'CMD ["/bin/bash"]',
            "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]
        try:
            client.api.import_image_from_file(str(archive), repository=repository, tag=tag, changes=changes)
        except docker.errors.APIError as error:
            raise ImageBuildError(root.name, "docker import", error.explanation or str(error)) from error


def _run(root: Root, argv: list[str]) -> None:
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImageBuildError(root.name, "mmdebstrap", str(error)) from error
    if done.returncode:
        tail = deque((done.stdout + done.stderr).splitlines(), TAIL)
        raise ImageBuildError(root.name, "mmdebstrap", f"exit {done.returncode}", tuple(tail))


def _pull(
    client: docker.DockerClient, root: Root, progress: Progress, problems: list[str], remedy: str
) -> None:
    repository, tag = root.official.split(":")
    progress(f"image {root.name}: pulling {root.official}")
    try:
        client.images.pull(repository, tag=tag)
    except docker.errors.APIError as error:
        tried = "\n".join([*problems, f"docker pull {root.official}: {error.explanation or error}"])
        raise ImageBuildError(root.name, f"getting {root.official}", remedy, tried.splitlines()) from error

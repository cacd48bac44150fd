"""``python -m emulator.docker.compose DIRECTORY``: copy Docker Compose out of the droplet's image.

It becomes ``DIRECTORY/docker-compose-VERSION``. The image is built where it is missing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import docker
import docker.errors
from docker.models.containers import Container

from emulator.docker.images.build import connected, ensure
from emulator.planes.base import PlaneError

# In the image of a droplet its own files are below a directory.
PLUGIN = "/droplet/rootfs/usr/libexec/docker/cli-plugins/docker-compose"
VERSION_SECONDS = 30


def extract(engine: docker.DockerClient, image: str, directory: Path) -> Path:
    """Copy the image's Compose to ``directory``, under its version. Raises ``PlaneError``."""
    container = engine.containers.create(image, command=["true"], network_mode="none")
    try:
        with tempfile.TemporaryDirectory(dir=directory) as fresh:
            path = Path(fresh) / "docker-compose"
            _copy(container, path)
            return path.rename(directory / f"docker-compose-{_version(path)}")
    finally:
        container.remove(force=True)


def _copy(container: Container, path: Path) -> None:
    try:
        chunks, _ = container.get_archive(PLUGIN)
    except docker.errors.NotFound as error:
        raise PlaneError(f"there is no {PLUGIN} in the image of a droplet") from error
    with tempfile.TemporaryFile(dir=path.parent) as packed:
        for chunk in chunks:
            packed.write(chunk)
        packed.seek(0)
        with tarfile.open(fileobj=packed) as archive:
            member = next((each for each in archive if each.isfile()), None)
            source = archive.extractfile(member) if member else None
            if source is None:
                raise PlaneError(f"{PLUGIN} in the image of a droplet is no file")
            path.write_bytes(source.read())
    path.chmod(0o755)


def _version(path: Path) -> str:
    try:
        done = subprocess.run(
            [path, "version", "--short"], capture_output=True, check=True, timeout=VERSION_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise PlaneError(f"the Docker Compose of a droplet's image does not run here: {error}") from error
    return done.stdout.decode(errors="replace").strip().replace(os.sep, "-")


def main() -> int:
    """Return 0, or 3 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="python -m emulator.docker.compose", description=__doc__)
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args().directory
    try:
        with connected() as engine:
            image = ensure(["droplet"], client=engine)["droplet"]
            sys.stdout.write(f"{extract(engine, image, directory)}\n")
    except (PlaneError, ValueError, docker.errors.DockerException, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())

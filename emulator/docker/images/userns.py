"""A droplet's root file system for its user namespace: the same files, owned by the ids that are mapped.

Which these are is said once, in the OCI bundle of the image (``droplet/config.json``, ``linux.uidMappings``).
A file of any other owner would be nobody's in there. Overlay file systems cannot be mounted with other owners
(idmapped mounts, mount_setattr(2)), so the owners are changed where the image is made.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

import docker

from emulator.docker.images.source import IMAGES

CHUNK = 1 << 20
DEVICES = (tarfile.CHRTYPE, tarfile.BLKTYPE)  # a droplet gets its own, and its root could make none


def mapping() -> dict[str, int]:
    """``hostID``: whom root in a droplet is on the machine below; ``size``: how many ids follow."""
    config: dict[str, Any] = json.loads((IMAGES / "droplet" / "config.json").read_text())
    (found,) = config["linux"]["uidMappings"]
    return {"hostID": int(found["hostID"]), "size": int(found["size"])}


ROOT = mapping()["hostID"]


def add_files(engine: docker.DockerClient, runtime: str, rootfs: str, reference: str) -> None:
    """Put the files of image ``rootfs`` into ``runtime``, every owner moved by ``ROOT``, as ``reference``.

    They go into a container of it: as part of a build they would be copied three times. Raises ``APIError``.
    """
    repository, tag = reference.rsplit(":", 1)
    with (
        TemporaryDirectory(prefix="wavetank-rootfs-") as scratch,
        _container(engine, rootfs, command=["true"]) as files,
        _container(engine, runtime) as droplet,
    ):
        path = Path(scratch) / "rootfs.tar"
        move_owners(cast(IO[bytes], _Stream(engine.api.export(files, CHUNK))), path)
        with path.open("rb") as packed:
            engine.api.put_archive(droplet, "/droplet/rootfs", packed)
        engine.api.commit(droplet, repository, tag)


@contextmanager
def _container(engine: docker.DockerClient, image: str, **options: Any) -> Iterator[str]:
    """A container that is never started."""
    container = str(engine.api.create_container(image, **options)["Id"])
    try:
        yield container
    finally:
        engine.api.remove_container(container, v=True, force=True)


def move_owners(source: IO[bytes], target: Path) -> None:
    """Copy a tar, every owner and group moved by ``ROOT``, devices left out."""
    with (
        tarfile.open(fileobj=source, mode="r|") as old,
        tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in old:
            if member.type in DEVICES:
                continue
            member.uid, member.gid, member.uname, member.gname = member.uid + ROOT, member.gid + ROOT, "", ""
            headers = member.pax_headers.items()
            member.pax_headers = {key: value for key, value in headers if key not in ("uid", "gid")}
            new.addfile(member, old.extractfile(member) if member.isreg() else None)


class _Stream:
    """Chunks as a file that can only be read on."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._held = chunks, bytearray()

    def read(self, size: int) -> bytes:
        while len(self._held) < size and (chunk := next(self._chunks, None)) is not None:
            self._held += chunk
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

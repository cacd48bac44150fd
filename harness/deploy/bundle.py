"""Everything that one service needs on one node: files, the names of its images, and a hash over both."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import stat
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.compose import ComposeProject, read
from harness.compose.model import inside
from harness.core.documents import read_text
from harness.deploy.engine import Image
from harness.topology.model import Service
from harness.topology.rendering.compose import strip_networks
from harness.topology.rendering.projects import ADDED, CHANGES, compose_files
from harness.topology.rendering.render import COMPOSE

OVERRIDE = "docker-compose.wavetank.yml"
PRIVATE = (".env", ADDED, *CHANGES)  # they may hold passwords


@dataclass(frozen=True)
class Entry:
    """One file, directory or symbolic link of a bundle. ``mtime`` is left out of the hash."""

    name: str
    mode: int
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    mtime: float = 0.0


@dataclass(frozen=True)
class Bundle:
    """What goes to ``/opt/wavetank/SERVICE`` of ``node``; ``images`` by the compose file's services."""

    service: Service
    node: str
    entries: tuple[Entry, ...]
    images: Mapping[str, Image]
    containers: int
    digest: str

    @property
    def label(self) -> str:
        return f"{self.service.name}@{self.node}"

    def tar(self) -> bytes:
        """The files as an uncompressed tar."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for entry in self.entries:
                info = tarfile.TarInfo(entry.name)
                info.mode, info.type = entry.mode, entry.kind
                info.linkname = entry.link
                info.size, info.mtime = len(entry.data), entry.mtime
                archive.addfile(info, io.BytesIO(entry.data))
        return buffer.getvalue()


def make_bundle(
    service: Service,
    node: str,
    rendered: Mapping[str, str],
    app: ComposeProject,
    images: Mapping[str, Image],
) -> Bundle:
    """Gather a bundle. ``rendered`` is what the topology rendered for this node, by file name.

    Raises ``TopologyError`` for a mount that lies outside of the compose file's directory.
    """
    images = {name: image for name, image in images.items() if name in app.started}
    texts = _texts(service, rendered, app, images)
    placed = {*rendered, OVERRIDE}
    found = {entry.name: entry for entry in _own_files(service.compose, app.shipped(placed), placed)}
    now = time.time()
    for name, text in texts.items():
        found[name] = Entry(name, 0o600 if name in PRIVATE else 0o644, text.encode(), mtime=now)
    entries = tuple(found[name] for name in sorted(found))
    return Bundle(service, node, entries, images, _containers(app), _digest(entries, images))


def merged(
    service: Service,
    root: Path,
    rendered: Mapping[str, str],
    app: ComposeProject,
    images: Mapping[str, Image],
) -> dict[str, Any]:
    """What Compose makes of all the compose files of such a bundle: a compose document, of what starts.

    ``root`` is the application's directory. Raises ``TopologyError``.
    """
    texts = _texts(service, rendered, app, images)
    first = texts.pop(COMPOSE)
    more = [name for name in _merged_files(service) if name in texts]
    found = read(service.compose, root=root, text=first, files=texts, project=service.name, more=more)
    return {**found.document, "services": found.running()}


def _texts(
    service: Service, rendered: Mapping[str, str], app: ComposeProject, images: Mapping[str, Image]
) -> dict[str, str]:
    """All that is written for a node, by file name: what is rendered, and compose files without networks."""
    texts = {**rendered, OVERRIDE: override(app, images)}
    for name in filter(None, map(inside, app.compose_files)):
        if name not in texts:
            file = service.compose.parent / name
            texts[name] = strip_networks(read_text(file), file=file)
    return texts


def _merged_files(service: Service) -> tuple[str, ...]:
    """What Compose merges into the first file on a node, as far as it is there."""
    return (*compose_files(service)[1:], OVERRIDE)


def _containers(app: ComposeProject) -> int:
    """How many services have a container, at least: none has one of which no replica is wanted."""
    wanted = (body.get("deploy", {}).get("replicas", body.get("scale", 1)) for body in app.running().values())
    return sum(1 for replicas in wanted if replicas != 0)


def override(app: ComposeProject, images: Mapping[str, Image]) -> str:
    """The last compose file, which names the shipped images; JSON, which is YAML too.

    The user's own files stay as they are. Nothing is built on a node.
    """
    built = [name for name, body in app.running().items() if "build" in body]
    services = {name: {"image": images[name].reference} for name in built}
    return json.dumps({"services": services or {app.started[0]: {}}}, indent=2) + "\n"


def compose_command(service: Service) -> str:
    """A line of shell for a service's directory on a node: ``compose`` is Docker Compose with its files."""
    names = " ".join(map(shlex.quote, (COMPOSE, *_merged_files(service))))
    command = (
        f"COMPOSE_FILE=${{files#:}} COMPOSE_PATH_SEPARATOR=: docker compose -p {shlex.quote(service.name)}"
    )
    return (
        f'files=; for each in {names}; do [ ! -e "$each" ] || files="$files:$each"; done\n'
        f'compose() {{ {command} "$@"; }}\n'
    )


def _digest(entries: Sequence[Entry], images: Mapping[str, Image]) -> str:
    digest = hashlib.sha256()
    for entry in entries:
        head = json.dumps([entry.name, entry.mode, entry.kind.decode(), entry.link, len(entry.data)])
        digest.update(head.encode() + entry.data)
    digest.update(
        json.dumps(sorted((name, image.reference, image.id) for name, image in images.items())).encode()
    )
    return digest.hexdigest()


def _own_files(compose: Path, names: Sequence[str], rendered: set[str]) -> Iterator[Entry]:
    """The user's files that the compose file names, found beside it."""
    for name in names:
        if name not in rendered:
            yield from _entries(compose.parent, name)


def _entries(root: Path, name: str) -> Iterator[Entry]:
    path = root / name
    if path.is_dir() and not path.is_symlink():
        if name != ".":
            yield Entry(name, 0o755, kind=tarfile.DIRTYPE, mtime=path.stat().st_mtime)
        for child in sorted(path.iterdir()):
            if child.name != ".git":
                yield from _entries(root, child.name if name == "." else f"{name}/{child.name}")
    elif path.is_symlink() or path.is_file():
        yield _file(path, name)
    # What is not there, a container makes: compose creates a mount's missing directory on the node.


def _file(path: Path, name: str) -> Entry:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return Entry(name, 0o777, kind=tarfile.SYMTYPE, link=str(path.readlink()), mtime=found.st_mtime)
    return Entry(name, stat.S_IMODE(found.st_mode), path.read_bytes(), mtime=found.st_mtime)

"""Make the emulator's images, and nothing that is there already.

An image's tag is a hash over its source and its base's id, so an edit makes a new image and a second call
makes nothing. One builder works at a time on a machine; independent images are built side by side::

    refs = ensure(["droplet", "fabric"])    # {"droplet": "wavetank/droplet:3f0c…", ...}
"""

from __future__ import annotations

import fcntl
import os
import sys
import textwrap
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import docker
import docker.errors
import docker.utils

from emulator.docker.images.errors import ImageBuildError
from emulator.docker.images.rootfs import BASE, DROPLET, DROPLETS, Root, make_root
from emulator.docker.images.source import IMAGES, content_hash, context
from emulator.docker.images.userns import ROOT, add_files
from emulator.docker.images.wheels import wheels_for
from emulator.planes.base import PlaneError
from harness.core.errors import WaitTimeoutError
from harness.core.names import DROPLET_SYSTEMS
from harness.core.paths import cache_dir
from harness.core.wait import NotYet, wait_for

__all__ = ["NAMES", "ImageBuildError", "build_image", "ensure"]

# The base first, then what takes longest.
NAMES = ("base", "droplet", "postgres", "mongodb", "fabric", "valkey")
ROOTFS = "droplet-rootfs"  # what the image of a droplet is made from
REPOSITORY = "wavetank"
LABEL = "wavetank.image"
LOCK_SECONDS = 1800.0
BUILD_SECONDS = 900
TAIL = 20
WIDTH = 110
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

Progress = Callable[[str], object]


def ensure(
    names: Sequence[str] | None = None,
    progress: Progress | None = None,
    *,
    client: docker.DockerClient | None = None,
    force: bool = False,
    system: str = DROPLET_SYSTEMS[0],
) -> dict[str, str]:
    """Return a reference for each image in ``names`` (default: all), building what is missing.

    ``wavetank/base:latest`` is set too, for application Dockerfiles. ``force`` builds even what is there.
    ``system`` is what is in the image of a droplet, one of ``DROPLETS``.
    ``progress`` gets one line a step (default: stderr). Raises ``ImageBuildError`` when an image cannot be
    built, ``PlaneError`` when there is no engine or another builder does not finish, ``ValueError`` for an
    unknown name.
    """
    wanted = list(NAMES if names is None else names)
    unknown = sorted(set(wanted) - set(NAMES))
    if unknown:
        raise ValueError(f"no such image: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    say, droplet = progress or _stderr, DROPLETS[system]
    with nullcontext(client) if client else connected() as engine:
        ready = None if force else _all_there(engine, wanted, droplet)
        if ready is not None:
            return ready
        with _one_builder(say):
            return _build_missing(engine, wanted, droplet, say, force=force)


@contextmanager
def connected() -> Iterator[docker.DockerClient]:
    """Connect to the engine. Raises ``PlaneError`` with the remedy when none answers."""
    with ExitStack() as stack:
        try:
            engine = docker.DockerClient(timeout=BUILD_SECONDS, **docker.utils.kwargs_from_env())
            stack.callback(engine.close)
            engine.ping()
        except docker.errors.DockerException as error:
            remedy = "start Docker (or run `wavetank setup`), and see that you may use it (group `docker`)"
            raise PlaneError(f"no Docker engine answers: {error}; {remedy}") from error
        yield engine


def _stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def base_reference(root: Root = BASE) -> str:
    """A base's reference, which its source alone decides."""
    also = () if root == BASE else (root.suite, *root.packages)
    return f"{REPOSITORY}/{root.name}:{content_hash(IMAGES / 'base', *also)}"


def _image_id(engine: docker.DockerClient, reference: str) -> str | None:
    try:
        return engine.images.get(reference).id
    except docker.errors.ImageNotFound:
        return None


def _reference(name: str, base: str, *also: str) -> str:
    return f"{REPOSITORY}/{name}:{content_hash(IMAGES / name, base, *also)}"


def _rootfs_reference(droplet: Root) -> str:
    """The reference of a droplet's files, which what they are made from need not be there for."""
    return _reference(ROOTFS, base_reference(droplet))


def _all_there(
    engine: docker.DockerClient, wanted: Sequence[str], droplet: Root = DROPLET
) -> dict[str, str] | None:
    """References of all that is wanted, or None if any of it must be made."""
    base = base_reference()
    base_id = _image_id(engine, base)
    if base_id is None or _image_id(engine, f"{REPOSITORY}/base:latest") != base_id:
        return None
    rootfs = _rootfs_reference(droplet)
    refs = {name: _found(name, base_id, rootfs) for name in wanted}
    return refs if all(_image_id(engine, reference) for reference in refs.values()) else None


def _found(name: str, base_id: str, rootfs: str) -> str:
    """The reference of one image, once its base is there."""
    if name == "base":
        return base_reference()
    return _reference(name, base_id, *([rootfs] if name == "droplet" else []))


def _build_missing(
    engine: docker.DockerClient, wanted: Sequence[str], droplet: Root, progress: Progress, *, force: bool
) -> dict[str, str]:
    """Build side by side what does not need each other: a droplet's files take longest, and begin first."""
    base = base_reference()
    with ThreadPoolExecutor(max_workers=(os.cpu_count() or 1) + 1) as pool:
        rootfs = (
            pool.submit(_make_rootfs, engine, droplet, progress, force=force) if "droplet" in wanted else None
        )
        _make_base(engine, BASE, progress, force=force)
        engine.api.tag(base, f"{REPOSITORY}/base", "latest")
        build = _Build(engine, base, rootfs, progress, force)
        made = {name: pool.submit(build.ensure, name) for name in wanted if name not in ("base", "droplet")}
        # Last, for it waits for its files.
        made |= {name: pool.submit(build.ensure, name) for name in wanted if name == "droplet"}
        return {name: base if name == "base" else made[name].result() for name in wanted}


def _make_base(engine: docker.DockerClient, root: Root, progress: Progress, *, force: bool) -> str:
    """A root file system to begin with, made if it is not there; its reference."""
    reference = base_reference(root)
    if force or _image_id(engine, reference) is None:
        with _timed(root.name, progress):
            official = make_root(engine, root, reference, progress)
            if official is not None:
                source = IMAGES / "base"
                build_image(engine, root.name, source, reference, base=official, progress=progress)
    return reference


def _make_rootfs(engine: docker.DockerClient, droplet: Root, progress: Progress, *, force: bool) -> str:
    """A droplet's files as an image of their own, made if it is not there; its reference."""
    reference = _rootfs_reference(droplet)
    if force or _image_id(engine, reference) is None:
        base = _make_base(engine, droplet, progress, force=force)
        with _timed(ROOTFS, progress):
            given = {"PACKAGES": " ".join(droplet.packages)}
            build_image(
                engine, ROOTFS, IMAGES / ROOTFS, reference, base=base, progress=progress, arguments=given
            )
    return reference


@dataclass(frozen=True)
class _Build:
    """What images are made from: ``base``'s reference, and ``rootfs``'s once it is made."""

    engine: docker.DockerClient
    base: str
    rootfs: Future[str] | None
    progress: Progress
    force: bool

    def ensure(self, name: str) -> str:
        """Make an image if it is not there; its reference."""
        runtime, rootfs = "", ""
        if self.rootfs and name == "droplet":
            runtime = self._droplet_runtime()
            rootfs = self.rootfs.result()
        reference = _found(name, self._base_id(), rootfs)
        if self.force or _image_id(self.engine, reference) is None:
            with _timed(name, self.progress):
                if name == "droplet":
                    self._droplet(runtime, rootfs, reference)
                else:
                    self._plain(name, reference)
        return reference

    def _base_id(self) -> str:
        return _image_id(self.engine, self.base) or ""

    def _plain(self, name: str, reference: str) -> None:
        extra = wheels_for(IMAGES / name, cache_dir() / "wheels", _machine(self.engine))
        source = IMAGES / name
        build_image(self.engine, name, source, reference, base=self.base, progress=self.progress, extra=extra)

    def _droplet_runtime(self) -> str:
        """What runs a droplet in a user namespace of its own, still without files."""
        source = IMAGES / "droplet"
        reference = f"{REPOSITORY}/droplet-runtime:{content_hash(source, self._base_id())}"
        if self.force or _image_id(self.engine, reference) is None:
            given = {"ROOT": str(ROOT)}
            build_image(
                self.engine,
                "droplet",
                source,
                reference,
                base=self.base,
                progress=self.progress,
                arguments=given,
            )
        return reference

    def _droplet(self, runtime: str, rootfs: str, reference: str) -> None:
        self.progress("image droplet: its files")
        try:
            add_files(self.engine, runtime, rootfs, reference)
        except docker.errors.APIError as error:
            raise ImageBuildError("droplet", "its files", error.explanation or str(error)) from error


def _machine(engine: docker.DockerClient) -> str:
    """The engine's architecture as wheels name it."""
    architecture = str(engine.version()["Arch"])
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(architecture, architecture)


def build_image(
    engine: docker.DockerClient,
    name: str,
    directory: Path,
    reference: str,
    *,
    base: str,
    progress: Progress,
    extra: dict[str, Path] | None = None,
    arguments: dict[str, str] | None = None,
) -> None:
    """Build ``directory``'s Dockerfile on ``base`` and tag it. Raises ``ImageBuildError``.

    ``extra`` maps paths inside the build context to files from elsewhere; ``arguments`` are its ``ARG``s.
    """
    given = {"BASE": base} | {key: os.environ[key] for key in PROXIES if key in os.environ}
    try:
        with context(directory, extra) as packed:
            output = engine.api.build(
                fileobj=packed,
                custom_context=True,
                tag=reference,
                buildargs=given | (arguments or {}),
                labels={LABEL: name},
                network_mode="host",
                rm=True,
                forcerm=True,
                decode=True,
            )
            _follow(name, output, progress)
    except docker.errors.APIError as error:
        raise ImageBuildError(name, "the start of the build", error.explanation or str(error)) from error


def _follow(name: str, output: Iterator[dict[str, Any]], progress: Progress) -> None:
    """Read a build's output to its end, reporting each step."""
    step = "the start of the build"
    tail: deque[str] = deque(maxlen=TAIL)
    for event in output:
        for line in str(event.get("stream", "")).splitlines():
            if line.startswith("Step "):
                step = line.strip()
                progress(textwrap.shorten(f"image {name}: {step}", WIDTH, placeholder=" …"))
            elif line.strip():
                tail.append(line.rstrip())
        if "error" in event:
            raise ImageBuildError(name, step, str(event["error"]), list(tail))


@contextmanager
def _timed(name: str, progress: Progress) -> Iterator[None]:
    start = time.monotonic()
    yield
    progress(f"image {name}: built in {time.monotonic() - start:.1f} s")


@contextmanager
def _one_builder(progress: Progress) -> Iterator[None]:
    """Hold the machine's builder lock, waiting for whoever has it: another process, or another thread."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    path = cache_dir() / "images.lock"
    with path.open("a+") as file:
        try:
            _lock(file, path)
        except NotYet:
            progress("image builder: waiting for another one to finish")
            _wait_for_lock(file, path)
        yield


def _wait_for_lock(file: TextIO, path: Path) -> None:
    try:
        wait_for("the image builder's lock", lambda: _lock(file, path), deadline=LOCK_SECONDS)
    except WaitTimeoutError as error:
        raise PlaneError(str(error)) from error


def _lock(file: TextIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise NotYet(f"{path} is held by another builder of images") from error

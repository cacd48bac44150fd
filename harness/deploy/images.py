"""Builds and saves the application's images on this machine.

A built image is named by a hash of everything it is built from, so that a second run builds nothing, and
two runs of different code do not take each other's image.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from harness.compose import Build
from harness.core import process, programs
from harness.core.documents import read_text
from harness.core.errors import CommandError, ResourceError
from harness.deploy.engine import PROXY_VARIABLES, REPOSITORY, Image, builder_environment, docker

BUILD_SECONDS = 1800.0
SAVE_SECONDS = 600.0
KEEP_SECONDS = 3 * 24 * 3600
COMPRESSED = ".tar.zst"
IMAGE_CONTEXT = "docker-image://"
# Variables that would change what `docker` itself does: where it is, whom it asks, and how it builds.
DOCKERS_OWN = re.compile(
    r"(?i:https?|ftp|all|no)_(?i:proxy)|(?:DOCKER|BUILDX|BUILDKIT|OTEL|XDG|LD)_.*|PATH|HOME|TMPDIR"
    r"|SSH_AUTH_SOCK|SSL_CERT_(?:FILE|DIR)|GO(?:DEBUG|GC|MAXPROCS|MEMLIMIT|TRACEBACK)"
)
FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)", re.IGNORECASE | re.MULTILINE)
STEP = re.compile(r"^(?:Step \d+/\d+ :.*|#\d+ \[.*\] .*)$", re.MULTILINE)


def reference_of(name: str, build: Build, bases: Mapping[str, str]) -> str:
    """The name of what ``build`` makes. ``bases`` maps the names after FROM to the ids there are."""
    digest = hashlib.sha256()
    arguments = sorted(build.arguments.items())
    digest.update(json.dumps([build.dockerfile, build.target, arguments, sorted(bases.items())]).encode())
    if further := list(_further(build)):
        digest.update(json.dumps(further).encode())
    _add_files(digest, build.context, _files(build))
    for directory in _further_directories(build):
        _add_files(digest, directory, _all_files(directory))
    return f"{REPOSITORY}/{_repository(name)}:{digest.hexdigest()[:16]}"


def _add_files(digest: hashlib._Hash, directory: Path, files: Iterable[Path]) -> None:
    for path in files:
        relative = path.relative_to(directory).as_posix()
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        digest.update(f"\0{relative}\0{path.lstat().st_mode:o}\0{len(content)}\0".encode())
        digest.update(content)


def _further(build: Build) -> Iterator[str]:
    """What else an image depends on; where a secret or a directory lies on this machine is no part of it."""
    yield from filter(None, (build.inline, *build.options))
    yield from (word.partition(",src=")[0] for word in build.buildkit)
    for key, value in sorted(build.contexts.items()):
        yield f"{key}={value if IMAGE_CONTEXT in value else ''}"


def _further_directories(build: Build) -> Iterator[Path]:
    return (Path(each) for each in build.contexts.values() if IMAGE_CONTEXT not in each)


def _repository(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "image"


def _files(build: Build) -> Iterator[Path]:
    """The files of the context that a builder is sent, those that come about by themselves left out."""
    sent = _sent(build)
    for path in _all_files(build.context):
        if sent is None or path.relative_to(build.context).as_posix() in sent:
            yield path


def _sent(build: Build) -> set[str] | None:
    """What ``.dockerignore`` leaves of the context, as relative paths; None: all of it.

    BuildKit prefers ``NAME.dockerignore`` beside the Dockerfile ``NAME``; the classic builder ignores that.
    """
    names = (".dockerignore", f"{build.dockerfile}.dockerignore")
    files = [build.context / name for name in names if (build.context / name).is_file()]
    if not files:
        return None
    from docker.utils.build import exclude_paths  # few applications need it, and it takes 0.1 s

    return {
        kept
        for file in files
        for kept in exclude_paths(str(build.context), _patterns(read_text(file)), build.dockerfile)
    }


def _patterns(text: str) -> list[str]:
    lines = map(str.strip, text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _all_files(directory: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(directory):
        folders[:] = sorted(folder for folder in folders if folder not in (".git", "__pycache__"))
        links = [folder for folder in folders if (Path(parent) / folder).is_symlink()]
        for name in sorted([*files, *links]):
            path = Path(parent) / name
            if path.is_file() or path.is_symlink():
                yield path


def bases_of(build: Build) -> tuple[str, ...]:
    """The image names after FROM, build arguments replaced."""
    text = build.inline or (build.context / build.dockerfile).read_text(errors="replace")
    names = FROM.findall(text)
    for key, value in build.arguments.items():
        names = [name.replace(f"${{{key}}}", value).replace(f"${key}", value) for name in names]
    return tuple(dict.fromkeys(name for name in names if "$" not in name and name != "scratch"))


def build_image(name: str, build: Build, reference: str) -> None:
    """Run ``docker build``. Raises ``ResourceError`` with the failing step and the last lines printed."""
    environment = {**_hidden(build), **builder_environment(), "BUILDKIT_PROGRESS": "plain"}
    if (build.buildkit or build.contexts) and "DOCKER_BUILDKIT" in environment:
        problem = (
            "its `build:` has additional_contexts, secrets or ssh, and only BuildKit knows these: install "
            "Docker's buildx plugin (Debian: docker-buildx), or take them out"
        )
        raise ResourceError("image", name, problem)
    with _dockerfile(build) as dockerfile:
        arguments = [*_arguments(build, reference), "--file", str(dockerfile), str(build.context)]
        try:
            docker(arguments, deadline=BUILD_SECONDS, environment=environment)
        except CommandError as error:
            raise ResourceError("image", name, _what_failed(build, error)) from error


@contextmanager
def _dockerfile(build: Build) -> Iterator[Path]:
    """The file with the build's instructions."""
    if not build.inline:
        yield build.context / build.dockerfile
        return
    with tempfile.TemporaryDirectory(prefix="wavetank-build-") as directory:
        file = Path(directory) / "Dockerfile"
        file.write_text(build.inline)
        yield file


def _arguments(build: Build, reference: str) -> list[str]:
    # The host's network: some engines have no bridge, and a build needs its package mirrors only.
    arguments = ["build", "--force-rm", "--network", build.network or "host", "--tag", reference]
    arguments += ["--label", "wavetank.app=image", *build.options, *build.buildkit]
    for key, value in build.contexts.items():
        arguments += ["--build-context", f"{key}={value}"]
    if build.target:
        arguments += ["--target", build.target]
    for key in PROXY_VARIABLES:
        if key in os.environ:
            arguments += ["--build-arg", key]
    hidden = _hidden(build)
    for key, value in build.arguments.items():
        arguments += ["--build-arg", key if key in hidden else f"{key}={value}"]
    return arguments


def _hidden(build: Build) -> dict[str, str]:
    """Build arguments that docker takes from its environment, so that no process list shows them.

    Not those that docker would take for its own, and none that an environment cannot hold.
    """
    return {
        key: value
        for key, value in build.arguments.items()
        if key.isidentifier() and "\0" not in value and not DOCKERS_OWN.fullmatch(key)
    }


def _what_failed(build: Build, error: CommandError) -> str:
    steps = STEP.findall(error.output)
    at = f" at `{steps[-1]}`" if steps else ""
    lines = [line for line in error.output.splitlines() if line.strip() and "DEPRECATED" not in line]
    tail = "\n  ".join(lines[-15:])
    return f"docker build of {build.context} failed{at}:\n  {tail}{disk_hint(error.output, build.context)}"


def disk_hint(output: str, path: Path) -> str:
    """A hint about free space, where ``output`` says that there is none."""
    if "no space left on device" not in output.lower():
        return ""
    free = shutil.disk_usage(path).free >> 20
    return f"\n  the disk is full ({free} MiB free at {path}); `docker image prune` frees what no image needs"


class Archive:
    """``docker save`` of images, each at most once, kept in a directory for the next run.

    A file is named by the image's id and never changes, so runs can share the directory. Where ``zstd`` is
    installed it is compressed: a third of the bytes to send, and less work on the whole.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def path(self, image: Image) -> Path:
        """The image's file (``.tar`` or ``.tar.zst``), written now if it is not there.

        Raises ``ResourceError``, ``EngineError``.
        """
        with self._guard:
            lock = self._locks.setdefault(image.id, threading.Lock())
        ending = COMPRESSED if shutil.which("zstd") else ".tar"
        file = self._directory / (image.id.removeprefix("sha256:") + ending)
        with lock:
            if not file.exists():
                self._save(image, file)
            os.utime(file)
        return file

    def prune(self, *, now: float | None = None) -> None:
        """Delete images that were not used for three days."""
        limit = (time.time() if now is None else now) - KEEP_SECONDS
        for file in self._directory.glob("*.tar*"):
            with suppress(FileNotFoundError):  # another run was quicker
                if file.stat().st_mtime < limit:
                    file.unlink()

    def _save(self, image: Image, file: Path) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(self._directory).free
        if free < image.size:
            problem = (
                f"saving it takes {image.size >> 20} MiB and {self._directory} has {free >> 20} MiB free"
            )
            raise ResourceError("image", image.reference, problem)
        fresh = file.with_name(f"{file.name}-{os.getpid()}")
        try:
            with fresh.open("wb") as sink, _compressor(sink, file.name.endswith(COMPRESSED)) as stream:
                docker(["save", image.reference], deadline=SAVE_SECONDS, sink=stream)
            fresh.replace(file)
        except CommandError as error:
            problem = f"docker save failed: {error.output.strip()}{disk_hint(error.output, self._directory)}"
            raise ResourceError("image", image.reference, problem) from error
        finally:
            fresh.unlink(missing_ok=True)


@contextmanager
def _compressor(sink: IO[bytes], compressed: bool) -> Iterator[IO[bytes]]:
    """A stream that compresses into ``sink``. Raises ``CommandError`` when compressing fails."""
    if not compressed:
        yield sink
        return
    argv = ["zstd", "-q", "-1", "-c"]
    zstd = process.spawn(argv, stdin=subprocess.PIPE, stdout=sink, stderr=subprocess.PIPE)
    assert zstd.stdin is not None
    assert zstd.stderr is not None
    failure = None
    try:
        try:
            yield zstd.stdin
        except CommandError as error:
            failure = error  # the compressor may be the cause: then the writer only saw a broken pipe
        zstd.stdin.close()
        message = zstd.stderr.read().decode(errors="replace")
        if zstd.wait():
            raise CommandError(argv, zstd.returncode, message) from failure
    finally:
        process.end(zstd)
    if failure:
        raise failure


@contextmanager
def unpacked(file: Path) -> Iterator[IO[bytes]]:
    """The tar within an archive's file, for a node that cannot unpack it itself."""
    if not file.name.endswith(COMPRESSED):
        with file.open("rb") as source:
            yield source
        return
    programs.require("zstd")
    zstd = process.spawn(["zstd", "-q", "-dc", str(file)], stdout=subprocess.PIPE)
    assert zstd.stdout is not None
    try:
        yield zstd.stdout
    finally:
        process.end(zstd)  # its reader has read enough

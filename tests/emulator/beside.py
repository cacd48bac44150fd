"""Images that an application takes from a registry, made here under their names while a test runs."""

from __future__ import annotations

import fcntl
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import docker.errors
import pytest
from docker.utils.build import tar

from harness.run.settings import PROJECT

IMAGES = PROJECT / "tests/apps/images"
LABEL = "wavetank.test"
LOCK, BUILDING = (
    Path(tempfile.gettempdir()) / f"wavetank-test-images-{os.getuid()}-{name}" for name in ("used", "built")
)
DEBIAN = f"FROM wavetank/base:latest\nLABEL {LABEL}=beside\n"


@contextmanager
def images_beside(engine: Any) -> Iterator[None]:
    """Names that this machine has already are its own: then the test is skipped.

    Several processes may use the names at once; the last of them removes them.
    """
    made: list[str] = []
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            _make(engine, made)
            yield
        finally:
            # The layers stay: their own names keep them.
            for name in made if _is_last(lock) else ():
                with suppress(docker.errors.ImageNotFound):
                    engine.images.remove(name, noprune=True)


def _make(engine: Any, made: list[str]) -> None:
    """One process builds, and others take what it has built; ``made`` are the names so far."""
    with BUILDING.open("w") as building:
        fcntl.flock(building, fcntl.LOCK_EX)
        for name, dockerfile, context in (
            ("debian:bookworm-slim", DEBIAN, None),
            ("nginx:alpine", (IMAGES / "nginx.Dockerfile").read_text(), None),
            (
                "judge0/judge0:1.13.1",
                (IMAGES / "judge0.Dockerfile").read_text(),
                PROJECT / "topologies/app/judge0",
            ),
        ):
            refuse(engine, name)
            build(engine, name, dockerfile, context)
            made.append(name)


def _is_last(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def refuse(engine: Any, name: str) -> None:
    """Skip the test where an image of this name is not one of ours."""
    try:
        image = engine.images.get(name)
    except docker.errors.ImageNotFound:
        return
    if image.labels.get(LABEL) != "beside":
        pytest.skip(f"this machine has an image {name} of its own")


def build(engine: Any, name: str, dockerfile: str, context: Path | None) -> None:
    """Build an image, and give it this name and one that stays."""
    extra = ("Dockerfile.beside", dockerfile)
    sent = tar(str(context), dockerfile=extra) if context else None
    own = f"wavetank-test/{name.rpartition('/')[2].partition(':')[0]}:latest"
    common = {"tag": own, "rm": True, "forcerm": True, "network_mode": "host", "labels": {LABEL: "beside"}}
    if sent is None:
        image, _ = engine.images.build(fileobj=io.BytesIO(dockerfile.encode()), **common)
    else:
        with sent:
            image, _ = engine.images.build(
                fileobj=sent, custom_context=True, dockerfile="Dockerfile.beside", **common
            )
    repository, _, tag = name.partition(":")
    image.tag(repository, tag=tag)

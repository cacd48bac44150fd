"""Docker Compose, copied out of the image of a droplet."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from emulator.docker.compose import PLUGIN, extract
from emulator.docker.images.build import connected
from emulator.planes.base import PlaneError

pytestmark = pytest.mark.docker
SCRIPT = b"#!/bin/sh\necho 2.26.1-4\n"


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    """The local engine."""
    with connected() as client:
        yield client


@pytest.fixture
def image(engine: docker.DockerClient, request: pytest.FixtureRequest) -> Iterator[str]:
    """An image with a program at the place that the test names."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(request.param.lstrip("/"))
        member.size, member.mode = len(SCRIPT), 0o755
        archive.addfile(member, io.BytesIO(SCRIPT))
    name = f"wavetank-test/compose-{os.getpid()}"
    engine.api.import_image_from_data(packed.getvalue(), repository=name, tag="1")
    yield f"{name}:1"
    engine.images.remove(f"{name}:1", force=True)


@pytest.mark.parametrize("image", [PLUGIN], indirect=True)
def test_it_is_kept_under_its_version(engine: docker.DockerClient, image: str, tmp_path: Path) -> None:
    """Ready to run, and nothing beside it; no container stays."""
    made = extract(engine, image, tmp_path)
    assert made == tmp_path / "docker-compose-2.26.1-4"
    assert made.read_bytes() == SCRIPT
    assert os.access(made, os.X_OK)
    assert list(tmp_path.iterdir()) == [made]
    assert engine.containers.list(all=True, filters={"ancestor": image}) == []


@pytest.mark.parametrize("image", ["/usr/bin/other"], indirect=True)
def test_an_image_without_it_is_an_error(engine: docker.DockerClient, image: str, tmp_path: Path) -> None:
    """The error says where it was looked for."""
    with pytest.raises(PlaneError, match=PLUGIN):
        extract(engine, image, tmp_path)
    assert list(tmp_path.iterdir()) == []

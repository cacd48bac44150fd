"""Images as a real engine builds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import pytest

from emulator.docker.images.build import build_image, connected, ensure
from emulator.docker.images.errors import ImageBuildError

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    """The local engine."""
    with connected() as client:
        yield client


@pytest.fixture(scope="module")
def base(engine: docker.DockerClient) -> str:
    """The base image's reference."""
    return ensure(["base"], client=engine)["base"]


def test_a_second_call_builds_nothing(engine: docker.DockerClient, base: str) -> None:
    """What is there is found, without a word."""
    said: list[str] = []
    assert ensure(["base"], said.append, client=engine) == {"base": base}
    assert said == []


def test_applications_find_the_base_under_a_fixed_name(engine: docker.DockerClient, base: str) -> None:
    """``FROM wavetank/base:latest`` is the newest base."""
    assert engine.images.get("wavetank/base:latest").id == engine.images.get(base).id


def test_the_base_is_debian_without_documentation(engine: docker.DockerClient, base: str) -> None:
    """Debian 12, with certificates to check others by, and no manual pages."""
    script = '. /etc/os-release; echo "$ID $VERSION_ID"; ls -A /usr/share/man;'
    script += " test -s /etc/ssl/certs/ca-certificates.crt"
    output = engine.containers.run(base, ["sh", "-ec", script], network_mode="none", remove=True)
    assert output.decode().split() == ["debian", "12"]


def test_a_failing_command_is_told_with_its_words(
    engine: docker.DockerClient, base: str, tmp_path: Path
) -> None:
    """The error carries the image, the step and the output; nothing is tagged and no container stays."""
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN echo out of flour; exit 7\n")
    with pytest.raises(ImageBuildError, match=r"(?s)'cake'.*RUN echo out of flour.*code: 7.*\| out of flour"):
        build_image(engine, "cake", tmp_path, "wavetank/test-cake:1", base=base, progress=print)
    with pytest.raises(docker.errors.ImageNotFound):
        engine.images.get("wavetank/test-cake:1")
    # Every image descends from the base, so other tests' containers are listed, too.
    listed = engine.api.containers(all=True, filters={"ancestor": base})
    assert not [each for each in listed if "out of flour" in each["Command"]]


def test_a_missing_file_is_told_with_its_step(engine: docker.DockerClient, base: str, tmp_path: Path) -> None:
    """What the engine itself refuses is told the same way."""
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY flour /\n")
    with pytest.raises(ImageBuildError, match=r"(?s)'cake'.*COPY flour.*flour"):
        build_image(engine, "cake", tmp_path, "wavetank/test-cake:2", base=base, progress=print)


def test_a_broken_dockerfile_is_told(engine: docker.DockerClient, base: str, tmp_path: Path) -> None:
    """The engine's own words reach the user."""
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nBAKE cake\n")
    with pytest.raises(ImageBuildError, match=r"(?s)'cake'.*BAKE"):
        build_image(engine, "cake", tmp_path, "wavetank/test-cake:3", base=base, progress=print)


def test_a_built_image_says_what_it_is(engine: docker.DockerClient, base: str, tmp_path: Path) -> None:
    """Images carry a label, so that they can be found and removed."""
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY start /start\n")
    (tmp_path / "start").write_text("#!/bin/sh\necho started\n")
    (tmp_path / "start").chmod(0o755)
    reference = "wavetank/test-cake:4"
    try:
        build_image(engine, "cake", tmp_path, reference, base=base, progress=print)
        assert engine.images.get(reference).labels == {"wavetank.image": "cake"}
        output = engine.containers.run(reference, ["/start"], network_mode="none", remove=True)
        assert output == b"started\n"
    finally:
        engine.images.remove(reference)

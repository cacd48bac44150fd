"""How an image gets Python packages."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from emulator.docker.images.errors import ImageBuildError
from emulator.docker.images.wheels import download_argv, wheels_for


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image that pins one package."""
    directory = tmp_path / "db"
    directory.mkdir()
    (directory / "wheels.txt").write_text("example==1.0\n")
    return directory


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A pip that writes one wheel where it is told, and the commands it got."""
    calls: list[list[str]] = []

    def run(argv: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(argv)
        into = Path(argv[-1].removeprefix("--dest="))
        into.mkdir()
        with zipfile.ZipFile(into / "example-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("example/__init__.py", "x = 1\n")
        return subprocess.CompletedProcess(argv, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_an_image_without_pins_needs_nothing(tmp_path: Path, pip: list[list[str]]) -> None:
    """Most images are Debian packages only."""
    assert wheels_for(tmp_path, tmp_path / "cache", "x86_64") == {}
    assert pip == []


def test_pinned_packages_arrive_unpacked(image: Path, tmp_path: Path, pip: list[list[str]]) -> None:
    """The build gets a wheel's files, so that it needs no pip."""
    files = wheels_for(image, tmp_path / "cache", "x86_64")
    assert {name: path.read_text() for name, path in files.items()} == {"site/example/__init__.py": "x = 1\n"}


def test_a_download_is_made_once(image: Path, tmp_path: Path, pip: list[list[str]]) -> None:
    """The second build finds the files in the cache."""
    wheels_for(image, tmp_path / "cache", "x86_64")
    wheels_for(image, tmp_path / "cache", "x86_64")
    assert len(pip) == 1


def test_another_pin_is_another_download(image: Path, tmp_path: Path, pip: list[list[str]]) -> None:
    """A stale cache never serves a new pin."""
    wheels_for(image, tmp_path / "cache", "x86_64")
    (image / "wheels.txt").write_text("example==2.0\n")
    wheels_for(image, tmp_path / "cache", "x86_64")
    assert len(pip) == 2


def test_wheels_are_for_the_image_not_for_the_host(tmp_path: Path) -> None:
    """pip is asked for the image's Python and architecture, whatever runs here."""
    argv = download_argv(tmp_path / "wheels.txt", tmp_path, "aarch64")
    assert "--python-version=3.11" in argv
    assert "--platform=manylinux_2_28_aarch64" in argv
    assert argv[0] == sys.executable


def test_a_failed_download_says_why_and_leaves_nothing(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the image and carries pip's words; the next call starts afresh."""

    def run(argv: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(
            argv, 1, "", "ERROR: No matching distribution found for example==1.0"
        )

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ImageBuildError, match=r"(?s)'db'.*pip download.*No matching distribution"):
        wheels_for(image, tmp_path / "cache", "x86_64")
    assert list((tmp_path / "cache").iterdir()) == []

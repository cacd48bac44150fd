"""What an image's tag depends on, and what a build is fed."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from emulator.docker.images.source import content_hash, context


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An image's source of two files."""
    source = tmp_path / "image"
    (source / "etc").mkdir(parents=True)
    (source / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\n")
    (source / "etc" / "conf").write_text("a = 1\n")
    return source


def test_the_same_source_has_the_same_hash(directory: Path, tmp_path: Path) -> None:
    """Where the files lie and when they were written makes no difference."""
    other = tmp_path / "elsewhere"
    directory.rename(other)
    moved = content_hash(other)
    other.rename(directory)
    assert moved == content_hash(directory)


def test_an_edit_changes_the_hash(directory: Path) -> None:
    """A changed file makes another image."""
    before = content_hash(directory)
    (directory / "etc" / "conf").write_text("a = 2\n")
    assert content_hash(directory) != before


def test_a_renamed_file_changes_the_hash(directory: Path) -> None:
    """Names count, not contents alone."""
    before = content_hash(directory)
    (directory / "etc" / "conf").rename(directory / "etc" / "config")
    assert content_hash(directory) != before


def test_an_executable_bit_changes_the_hash(directory: Path) -> None:
    """An entry point that can run is another image than one that cannot."""
    before = content_hash(directory)
    (directory / "etc" / "conf").chmod(0o755)
    assert content_hash(directory) != before


def test_the_umask_does_not_change_the_hash(directory: Path) -> None:
    """Two checkouts of one commit agree, whatever their owners' umask."""
    before = content_hash(directory)
    (directory / "etc" / "conf").chmod(0o600)
    assert content_hash(directory) == before


def test_the_base_changes_the_hash(directory: Path) -> None:
    """A new base makes new images on it."""
    assert content_hash(directory, "sha256:1") != content_hash(directory, "sha256:2")


def test_compiled_python_is_left_out(directory: Path) -> None:
    """Running a file of an image's source must not rebuild the image."""
    before = content_hash(directory)
    (directory / "__pycache__").mkdir()
    (directory / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert content_hash(directory) == before


def test_a_context_holds_the_source_and_what_is_added(directory: Path, tmp_path: Path) -> None:
    """The archive has every file at its place, readable, with entry points executable."""
    (directory / "start").write_text("#!/bin/sh\n")
    (directory / "start").chmod(0o700)
    wheel = tmp_path / "w.whl"
    wheel.write_text("wheel")
    wheel.chmod(0o600)
    with context(directory, {"site/w.whl": wheel}) as packed, tarfile.open(fileobj=packed) as archive:
        modes = {entry.name: entry.mode for entry in archive.getmembers()}
    assert modes == {"Dockerfile": 0o644, "etc/conf": 0o644, "start": 0o755, "site/w.whl": 0o644}

"""What is kept for the next time: made once, whole or not at all, and not for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from harness.core.progress import Progress
from harness.vm import cache

QUIET = Progress(quiet=True)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache.cache_dir()


def test_a_piece_is_made_once(directory: Path) -> None:
    """And found the second time, under the name of what it is made from."""
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        path.write_text("content")

    first = cache.cached("disk", cache.key("a"), make, QUIET)
    second = cache.cached("disk", cache.key("a"), make, QUIET)
    assert first == second == directory / f"disk-{cache.key('a')}"
    assert first.read_text() == "content"
    assert len(made) == 1


def test_a_piece_that_could_not_be_finished_is_not_there_the_next_time(directory: Path) -> None:
    """Nor is what was begun of it in the way."""

    def half(path: Path) -> None:
        path.mkdir()
        (path / "half").touch()
        raise OSError("no space left on device")

    def whole(path: Path) -> None:
        path.mkdir()
        (path / "whole").touch()

    with pytest.raises(OSError, match="no space"):
        cache.cached("root", cache.key("a"), half, QUIET)
    assert not (directory / f"root-{cache.key('a')}").exists()
    found = cache.cached("root", cache.key("a"), whole, QUIET)
    assert [each.name for each in found.iterdir()] == ["whole"]


def test_other_pieces_of_the_name_go_once_nobody_uses_them(directory: Path) -> None:
    """The one that was used of late stays, and so does one of another name that begins alike."""
    made = {}
    for name, what in (("root", "old"), ("root", "late"), ("root.ext4", "old")):
        made[name, what] = cache.cached(name, cache.key(what), Path.touch, QUIET)
    before = time.time() - cache.KEEP_SECONDS - 60
    for old in (made["root", "old"], made["root.ext4", "old"]):
        os.utime(old, (before, before))
    cache.cached("root", cache.key("new"), Path.touch, QUIET)
    assert not made["root", "old"].exists()
    assert made["root", "late"].exists()
    assert made["root.ext4", "old"].exists()


def test_keys_tell_parts_apart_however_they_are_cut() -> None:
    """What moves from one part to the next makes another key."""
    assert cache.key("ab", "c") != cache.key("a", "bc")
    assert cache.key("ab", "c") == cache.key(b"ab", "c")
    assert len(cache.key()) == 12

"""Additional files are unpacked in the sandbox; here, without one, what comes of an archive."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hostile.preparing import archive, bomb, entries

UNPACK = Path(__file__).parents[3] / "topologies/app/judge0/unpack.py"


def unpack(content: bytes, box: Path, *, largest: int = 1000) -> list[str]:
    """Names below ``box`` after unpacking ``content``, however that ended."""
    box.mkdir(exist_ok=True)
    source = box.parent / "archive"
    source.write_bytes(content)
    command = [sys.executable, "-IS", str(UNPACK), str(largest)]
    with source.open("rb") as opened:
        # 300 MB of memory, as a sandbox would have.
        limited = ["sh", "-c", 'ulimit -v 300000; exec "$@"', "sh", *command]
        subprocess.run(limited, stdin=opened, cwd=box, capture_output=True, check=False, timeout=60)
    return sorted(str(path.relative_to(box)) for path in box.rglob("*"))


def test_files_are_unpacked_with_their_directories_and_modes(tmp_path: Path) -> None:
    """What is there already stays as it is."""
    box = tmp_path / "box"
    box.mkdir()
    (box / "run").write_text("ours")
    assert unpack(archive({"a/b/c": b"1", "run": b"theirs"}), box) == ["a", "a/b", "a/b/c", "run"]
    assert (box / "run").read_text() == "ours"
    assert (box / "a/b/c").stat().st_mode & 0o777 == 0o700


def test_names_cannot_lead_out(tmp_path: Path) -> None:
    """However they try."""
    box = tmp_path / "box"
    names = ("../up", "/abs", "a/../../../up2", "..", ".", "//x", "./../y")
    assert unpack(archive(dict.fromkeys(names, b"1")), box) == ["abs", "up", "up2", "x", "y"]
    assert not (tmp_path / "up").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\3\4", archive({"a": bytes(2000)}), bomb(), entries(60_000)],
    ids=["empty", "broken", "large", "bomb", "names"],
)
def test_what_is_too_much_or_none_is_no_files(tmp_path: Path, content: bytes) -> None:
    """It ends, and leaves nothing."""
    assert unpack(content, tmp_path / "box") == []

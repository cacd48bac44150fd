"""The image that Dockerfiles of ours begin with, where no emulator has made it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from harness.core import process
from harness.core.errors import ResourceError
from harness.core.progress import Progress
from harness.deploy import base
from harness.deploy.engine import Image

QUIET = Progress(quiet=True)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The commands that were run, on a machine that has no image; the second one fails."""
    found: list[Sequence[str]] = []

    def run(argv: Sequence[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        found.append(argv)
        return subprocess.CompletedProcess(argv, 1 if len(found) > 1 else 0, b"", b"")

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(base, "local_images", lambda _: {})
    return found


def test_it_is_made_where_it_is_needed_and_missing(ran: list[Sequence[str]]) -> None:
    """By the emulator's own builder."""
    base.ensure(["debian:12"], QUIET)
    assert ran == []
    base.ensure(["debian:12", base.NAME], QUIET)
    assert ran == [[sys.executable, "-m", "emulator.docker.images", "base"]]
    with pytest.raises(ResourceError, match=f"image '{base.NAME}': it could not be built"):
        base.ensure([base.NAME], QUIET)


def test_one_that_is_here_is_not_made_again(
    ran: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It need not be the newest: whoever changes it builds it."""
    monkeypatch.setattr(base, "local_images", lambda names: {each: Image(each, "sha256:1") for each in names})
    base.ensure([base.NAME], QUIET)
    assert ran == []

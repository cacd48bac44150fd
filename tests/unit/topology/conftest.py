"""A small valid topology, and a way to break it one line at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from topology_samples import COMPOSE, SMALL, TEMPLATE

from harness.topology import Topology, load


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with the application that the small topology deploys."""
    for name in ("web", "api"):
        (tmp_path / "app" / name).mkdir(parents=True)
        (tmp_path / "app" / name / "docker-compose.yml").write_text(COMPOSE)
    (tmp_path / "app/web/nginx.conf.j2").write_text(TEMPLATE)
    return tmp_path


@pytest.fixture
def load_small(directory: Path) -> Callable[..., Topology]:
    """Load the small topology with pieces of its text replaced."""

    def load_with(*replacements: tuple[str, str], app: Path | None = None) -> Topology:
        text = SMALL
        for old, new in replacements:
            assert text.count(old) == 1, f"{old!r} is in the text {text.count(old)} times"
            text = text.replace(old, new)
        file = directory / "small.yaml"
        file.write_text(text)
        return load(file, app=app)

    return load_with

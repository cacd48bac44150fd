"""Small valid topologies, and a way to break them one line at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from topology_samples import COMPOSE, SMALL, SWARM, TEMPLATE

from harness.topology import Topology, load


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with the application that the small topologies deploy."""
    for name in ("web", "api"):
        (tmp_path / "app" / name).mkdir(parents=True)
        (tmp_path / "app" / name / "docker-compose.yml").write_text(COMPOSE)
    (tmp_path / "app/web/nginx.conf.j2").write_text(TEMPLATE)
    return tmp_path


@pytest.fixture
def load_small(directory: Path) -> Callable[..., Topology]:
    """Load the small topology with pieces of its text replaced."""
    return loader(directory / "small.yaml", SMALL)


@pytest.fixture
def load_swarm(directory: Path) -> Callable[..., Topology]:
    """The same for the small topology with a swarm."""
    return loader(directory / "swarm.yaml", SWARM)


def loader(file: Path, whole: str) -> Callable[..., Topology]:
    """A function that writes a topology with pieces replaced, and loads it."""

    def load_with(*replacements: tuple[str, str], app: Path | None = None) -> Topology:
        text = whole
        for old, new in replacements:
            assert text.count(old) == 1, f"{old!r} is in the text {text.count(old)} times"
            text = text.replace(old, new)
        file.write_text(text)
        return load(file, app=app)

    return load_with

"""Clouds on the memory plane."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.cloud.core import Cloud
from emulator.planes.memory import MemoryPlane


@pytest.fixture
def plane() -> MemoryPlane:
    """The plane of ``cloud``, for faults."""
    return MemoryPlane()


@pytest.fixture
def cloud(plane: MemoryPlane) -> Iterator[Cloud]:
    """A fresh cloud on which everything is done at once."""
    cloud = Cloud(None, plane, transitions="immediate")
    cloud.start()
    yield cloud
    cloud.close()


@pytest.fixture
def slow_cloud(plane: MemoryPlane) -> Iterator[Cloud]:
    """A fresh cloud on which nothing moves unless ``advance`` is called."""
    cloud = Cloud(None, plane, transitions="manual")
    cloud.start()
    yield cloud
    cloud.close()


@pytest.fixture
def busy_cloud(plane: MemoryPlane) -> Iterator[Cloud]:
    """A fresh cloud that works in threads, as the server's does."""
    cloud = Cloud(None, plane, transitions="background")
    cloud.start()
    yield cloud
    cloud.close()

"""What the contract tests share: the document, and a tour's answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from drivers import ApiDriver
from openapi import DOCUMENT, OpenApi
from tour import tour

from emulator.api.app import Api
from emulator.cloud.core import Cloud
from emulator.planes.memory import MemoryPlane


@pytest.fixture(scope="session")
def document() -> OpenApi:
    """DigitalOcean's OpenAPI document."""
    if not DOCUMENT.exists():
        pytest.skip(f"DigitalOcean's OpenAPI document is not at {DOCUMENT}")
    return OpenApi()


@pytest.fixture
def driver() -> Iterator[ApiDriver]:
    """Calls on a fresh account of which everything is instant."""
    cloud = Cloud(None, MemoryPlane(), transitions="immediate")
    cloud.start()
    yield ApiDriver(Api(cloud, any_token=True))
    cloud.close()


@pytest.fixture(scope="session")
def toured() -> ApiDriver:
    """A tour's answers."""
    cloud = Cloud(None, MemoryPlane(), transitions="immediate")
    cloud.start()
    driver = ApiDriver(Api(cloud, any_token=True))
    tour(driver)
    cloud.close()
    return driver

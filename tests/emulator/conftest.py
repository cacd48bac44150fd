"""Shared fixtures of tests that need an engine: tanks that are always taken down."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tank import Tank, droplet

USER_DATA = "#!/bin/sh\nhostname > /root/ran\n"


@pytest.fixture(scope="session")
def shared_tank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tank]:
    """Droplets 1, 2 and 4 (private only) in one VPC, 3 in another."""
    tank = Tank.new(tmp_path_factory.mktemp("tank"))
    try:
        specs = [droplet(1, user_data=USER_DATA), droplet(2), droplet(3, vpc=2), droplet(4, public=False)]
        tank.nodes = {spec.id: spec for spec in specs}
        policy = tank.policy()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda spec: tank.plane.create_droplet(spec, policy), specs))
        yield tank
    finally:
        tank.destroy()


@pytest.fixture
def tank(shared_tank: Tank) -> Tank:
    """The shared tank with all droplets uncovered."""
    shared_tank.rules()
    return shared_tank


@pytest.fixture
def own_tank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tank]:
    """A tank of one's own, empty, for tests that break it."""
    tank = Tank.new(tmp_path_factory.mktemp("own"))
    try:
        yield tank
    finally:
        tank.destroy()

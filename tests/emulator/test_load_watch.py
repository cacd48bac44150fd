"""What is watched of real droplets and databases: their own CPU, not their host's, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tank import Tank
from test_plane_databases import cluster

from emulator.docker.droplet import inside
from emulator.planes.base import DatabaseSpec, MemberPolicy
from harness.core.wait import NotYet, wait_for
from harness.load.watch import loop
from harness.load.watch.counters import Track, series
from harness.load.watch.environment import inspect_script, parse_inspection
from harness.load.watch.feed import Feed
from harness.load.watch.readings import Reader

pytestmark = pytest.mark.docker

EVERY = 0.2
ENOUGH = 6  # readings
BURN = ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done"]
# A container that uses a core, of an image with a shell and nothing else.
SPIN = """
tar -chC / bin/sh lib64/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6 | docker import - spinner
docker run -d --rm --network none --label com.docker.compose.project=spinner --name spinner-1 \
    spinner sh -c 'while :; do :; done'
"""


@contextmanager
def watched(tank: Tank, number: int) -> Iterator[Track]:
    """A droplet's track, filled as long as the block lasts; the engine's `exec` is the way in."""
    track = Track(f"node-{number}", "test")
    # What is begun by `exec` does not end with it, as what is begun by ssh does.
    watch = inside(["timeout", "30", "sh", "-c", loop.script(EVERY)])
    argv = ["docker", "exec", tank.container(number), *watch]
    feed = Feed(lambda: argv, Reader(track).take, lambda at, why: track.faults.append((at, why)))
    try:
        yield track
    finally:
        feed.close()


def await_readings(track: Track, count: int) -> None:
    """Until there are so many."""

    def probe() -> None:
        if len(track.readings) < count:
            raise NotYet(f"{len(track.readings)} readings; {track.faults}")

    wait_for(f"{count} readings of {track.node}", probe, deadline=60, max_pause=0.2)


@pytest.fixture
def spinner(tank: Tank) -> Iterator[None]:
    """A container of a compose project on droplet 1 that never rests."""
    code, output = tank.run(1, "sh", "-ec", SPIN)
    assert code == 0, output
    yield
    tank.run(1, "docker", "rm", "-f", "spinner-1")


def test_a_droplets_cpu_is_its_own_and_its_containers_are_told_by_service(tank: Tank, spinner: None) -> None:
    """One droplet spins and another rests, on the same processors."""
    with watched(tank, 1) as busy, watched(tank, 2) as idle:
        for track in (busy, idle):
            await_readings(track, ENOUGH)
    for track in (busy, idle):
        assert track.source.startswith("cgroup v"), track.source
        assert track.readings[-1].memory < 1024**3
    spinning, resting = (series(track, 0, float("inf")) for track in (busy, idle))
    assert spinning is not None
    assert resting is not None
    used = sum(spinning.parts["spinner"])
    assert used > 0.8 * sum(spinning.cpu) > 5 * sum(resting.cpu)
    assert not resting.parts


def test_a_droplet_tells_its_limits(tank: Tank) -> None:
    """Its own memory, where its host has more."""
    code, output = tank.run(2, "sh", "-c", inspect_script())
    assert code == 0, output
    found = parse_inspection(output)
    assert found["memory_mb"] == 1024
    assert found["engine"]
    assert found["os"].startswith("Debian")


@pytest.fixture
def database(tank: Tank) -> Iterator[DatabaseSpec]:
    """A cluster that nobody may reach."""
    spec = cluster("valkey")
    tank.databases.append(MemberPolicy(f"database:{spec.id}", True, (), ()))
    try:
        tank.plane.create_database(spec, tank.policy())
        yield spec
    finally:
        tank.databases.clear()
        tank.plane.destroy_database(spec.id)


def test_the_emulator_tells_what_a_database_uses(tank: Tank, database: DatabaseSpec) -> None:
    """CPU that grows by the engine's clock, and memory; droplets are not among them, nor what has stopped."""
    [first] = tank.plane.usage()
    assert (first.ref, first.cores >= 1) == (f"database:{database.id}", True)
    assert first.cpu_seconds > 0
    assert 0 < first.memory_bytes < 1024**3
    name = f"wt-{tank.instance}-database-{database.id}"
    tank.engine.containers.get(name).exec_run(BURN)
    [second] = tank.plane.usage()
    assert second.at > first.at
    assert second.cpu_seconds > first.cpu_seconds
    tank.engine.api.kill(name)
    assert list(tank.plane.usage()) == []

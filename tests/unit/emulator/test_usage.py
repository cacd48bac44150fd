"""What databases have used, as the engine tells it."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.docker.usage import read
from emulator.planes.base import Usage

READ = "2026-11-25T17:00:00.250000000Z"


def told(**stats: int) -> dict[str, Any]:
    """An answer of the engine, as far as it is read."""
    return {
        "read": READ,
        "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}, "online_cpus": 2},
        "memory_stats": {"usage": 5000, "stats": stats},
    }


@pytest.mark.parametrize("stats", [{"inactive_file": 2000}, {"inactive_file": 2000, "active_file": 9}])
def test_what_a_database_used_is_read_from_cgroup_v2(stats: dict[str, int]) -> None:
    """CPU in seconds, memory without the cache that can be dropped, and when the engine looked."""
    assert read("database:1", told(**stats)) == Usage("database:1", 1795626000.25, 1.5, 3000, 2.0)


def test_what_a_database_used_is_read_from_cgroup_v1() -> None:
    """There the hierarchy's total counts, not the group's own."""
    found = read("database:1", told(inactive_file=1, total_inactive_file=4000))
    assert found is not None
    assert found.memory_bytes == 1000


def test_a_database_that_has_stopped_is_left_out() -> None:
    """The engine answers with zeros and the year 1."""
    stopped = {
        "read": "0001-01-01T00:00:00Z",
        "cpu_stats": {"cpu_usage": {"total_usage": 0}},
        "memory_stats": {},
    }
    assert read("database:1", stopped) is None

"""Scans of a managed database: its container testifies like any droplet, and its port is all there is."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from scan_helpers import books_balance, order, verdict
from tank import Tank, tcp
from test_plane_databases import PORT, PRIVATE, PUBLIC, cluster

from emulator.planes.base import MemberPolicy, ScanPair
from harness.core.ports import ALL, NONE
from harness.isolation.model import ScanResult

pytestmark = pytest.mark.docker


@pytest.fixture
def database(tank: Tank) -> Iterator[str]:
    """A cluster that trusts droplet 1 only."""
    spec = cluster()
    ref = f"database:{spec.id}"
    trusted = tcp(PORT, "10.1.0.10/32", "203.0.113.10/32", firewall="trusted sources")
    tank.databases.append(MemberPolicy(ref, True, (trusted,), ()))
    try:
        tank.plane.create_database(spec, tank.policy())
        yield ref
    finally:
        tank.databases.clear()
        tank.plane.destroy_database(spec.id)


def test_only_the_trusted_reach_a_database_and_only_its_port(tank: Tank, database: str) -> None:
    """By the private and the public endpoint, from a trusted droplet, another one, and the internet."""
    pairs = [
        ScanPair("droplet:1", database, "private", "10.1.0.10", PRIVATE),
        ScanPair("droplet:1", database, "public", "203.0.113.10", PUBLIC),
        ScanPair("droplet:2", database, "private", "10.1.0.11", PRIVATE),
        ScanPair("internet", database, "public", "192.0.2.10", PUBLIC),
    ]
    found = tank.plane.scan(order(*pairs), lambda *_: None, threading.Event())
    for each in found:
        books_balance(each)
    trusted, others = _seen(found[:2]), _seen(found[2:])
    assert [each.open for each in trusted] == [((PORT, PORT),)] * 2
    assert [each.closed for each in trusted] == [NONE] * 2
    assert [each.filtered for each in others] == [ALL] * 2


def _seen(accounts: Sequence[Mapping[str, Any]]) -> list[ScanResult]:
    return [verdict(each) for each in accounts]

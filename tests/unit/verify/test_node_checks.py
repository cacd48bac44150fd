"""What the checks of nodes see in the variables of containers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from harness.checks import test_nodes as checks
from harness.core.paths import PROJECT
from harness.topology import load
from harness.topology.rendering.imagined import imagined

STANDARD = load(PROJECT / "topologies/standard.yaml")
MADE = imagined(STANDARD)
POSTGRES = next(iter(MADE.databases.values()))
DEPLOYMENT = replace(
    MADE,
    databases={
        "postgres": replace(POSTGRES, private=replace(POSTGRES.private, host="private-db.example")),
    },
)


@dataclass
class Docker:
    """A node whose containers have these variables."""

    containers: dict[str, Sequence[str] | None]
    asked: str = ""

    def check_output(self, command: str, *values: str) -> str:
        """As ``docker inspect`` shows them."""
        self.asked = command % values
        return "\n".join(f"/{name} {json.dumps(each)}" for name, each in self.containers.items())


def look(**containers: Sequence[str] | None) -> None:
    """Make the check."""
    docker: Any = Docker(containers)
    service = STANDARD.services[0]
    checks.test_containers_are_told_of_private_hosts(service, docker, DEPLOYMENT)
    assert f"label=com.docker.compose.project={service.name} " in docker.asked
    assert "docker ps -aq" in docker.asked


def test_private_hosts_and_other_addresses_are_fine() -> None:
    """Versions, addresses to listen at and a browser's. Some containers have no variables."""
    look(
        a=["DB=postgres://u:p@private-db.example:25060/x?a=b", "HOST=0.0.0.0", "URL=http://203.0.113.1"],
        b=None,
    )


def test_a_public_host_is_seen_in_any_container() -> None:
    """Wherever it was set. Values, which may be secret, are not told."""
    with pytest.raises(AssertionError) as raised:
        look(a=["HOST=0.0.0.0"], b=["A=1", "DB=postgres://u:p@db.example/x?a=b"])
    assert "DB of b refers to db.example" in str(raised.value)
    assert "u:p@" not in str(raised.value)

"""Taking power and giving it back, on an API that is played."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.errors import ApiError
from harness.faults.power import Power
from harness.target.target import Target
from harness.topology.deployment import Deployment, Node

NODES = {"a": Node("a", 1, "active", None, "10.0.0.1"), "b": Node("b", 2, "active", None, "10.0.0.2")}


class Cloud:
    """Two droplets; an action is done when the droplet is next looked at, and until then refuses others."""

    def __init__(self) -> None:
        self.status = {1: "active", 2: "active"}
        self.pending: dict[int, str] = {}
        self.posted: list[tuple[int, str]] = []
        self.client = SimpleNamespace(
            droplets=SimpleNamespace(get=self.get), droplet_actions=SimpleNamespace(post=self.post)
        )

    def get(self, id_: int) -> dict[str, Any]:
        action = self.pending.pop(id_, None)
        if action:
            self.status[id_] = "off" if action == "power_off" else "active"
        return {"droplet": {"status": self.status[id_]}}

    def post(self, id_: int, body: dict[str, str]) -> None:
        if id_ in self.pending:
            raise ApiError("POST", 422, "unprocessable_entity", "Droplet already has a pending event.")
        self.posted.append((id_, body["type"]))
        self.pending[id_] = body["type"]


def power(cloud: Cloud) -> Power:
    """The switches of that cloud."""
    api: Any = cloud
    return Power(Target("local", "", "", info={"plane": "played"}), Deployment("r", "v", "", NODES, {}), api)


def test_power_is_off_inside_and_on_again_after() -> None:
    """Only the nodes that were named."""
    cloud = Cloud()
    with power(cloud).without("a"):
        assert cloud.status == {1: "off", 2: "active"}
    assert cloud.status == {1: "active", 2: "active"}
    assert cloud.posted == [(1, "power_off"), (1, "power_on")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_check_gives_power_back(number: int) -> None:
    """ctrl-C, or a kind kill, in the middle."""
    cloud = Cloud()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), power(cloud).without("a", "b"):
        os.kill(os.getpid(), number)
    assert cloud.status == {1: "active", 2: "active"}
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_failed_check_gives_power_back() -> None:
    """Whatever it raises."""
    cloud = Cloud()
    with pytest.raises(ZeroDivisionError), power(cloud).without("a", "b"):
        raise ZeroDivisionError
    assert cloud.status == {1: "active", 2: "active"}


def test_an_action_under_way_is_waited_for() -> None:
    """Somebody else's reboot is no reason to fail."""
    cloud = Cloud()
    cloud.pending[1] = "power_on"
    power(cloud).off("a")
    assert cloud.status[1] == "off"

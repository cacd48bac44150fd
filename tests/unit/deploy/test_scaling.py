"""What is asked for when a service is scaled, and what a compose project lets a node run."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.compose import read
from harness.core.errors import UsageError
from harness.deploy import scale
from harness.deploy.scaling import check, parse_orders
from harness.topology.model import Service


def project(directory: Path, text: str, *nodes: str) -> Service:
    """A service ``worker`` with this compose file."""
    file = directory / "docker-compose.yml"
    file.write_text(text)
    return Service("worker", nodes or ("a", "b"), file, (), {}, (), "")


def test_orders_are_read_in_their_order() -> None:
    """As many as one likes."""
    assert parse_orders(["worker=5", "api=0"]) == {"worker": 5, "api": 0}


@pytest.mark.parametrize(
    "order", ["worker", "worker=", "=3", "worker=many", "worker=1.5", "worker==3", "worker=--1"]
)
def test_order_that_is_none_is_refused_with_an_example(order: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(UsageError, match="write SERVICE=REPLICAS, like judge0-worker=5"):
        parse_orders([order])


def test_service_given_twice_is_refused() -> None:
    """Which of the two was meant?"""
    with pytest.raises(UsageError, match="worker is given twice: 2 and 3 replicas"):
        parse_orders(["worker=2", "worker=3"])


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"wroker": 1}, "no service 'wroker' in stack: did you mean 'worker'"),
        ({"worker": -1}, "worker=-1: the number of replicas is 0 or more"),
    ],
)
def test_unknown_service_and_impossible_number_are_refused(wanted: dict[str, int], said: str) -> None:
    """With the name that was meant, and what a number can be."""
    with pytest.raises(UsageError, match=said):
        check(wanted, ["worker", "api"], "stack")


def test_nothing_deployed_is_told_as_that() -> None:
    """There is no name that would be right."""
    with pytest.raises(UsageError, match="nothing runs under stack: `wavetank up` deploys it"):
        check({"worker": 1}, [], "stack")


@pytest.mark.parametrize(("count", "share"), [(0, (0, 0)), (1, (1, 0)), (2, (1, 1)), (5, (3, 2))])
def test_number_is_shared_by_the_droplets(tmp_path: Path, count: int, share: tuple[int, ...]) -> None:
    """The first ones run one more."""
    service = project(tmp_path, "services: {worker: {image: x}}")
    assert tuple(scale.spread(service, count).values()) == share


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("services: {worker: {image: w, ports: ['80:80']}}", "has ports"),
        ("services: {other: {image: o, container_name: w}}", "has container_name"),
        ("services: {worker: {image: w, network_mode: host}, other: {image: o}}", "has network_mode: host"),
    ],
)
def test_what_a_droplet_can_run_once_is_not_run_twice(tmp_path: Path, text: str, bound: str) -> None:
    """The compose file says so, in one of three ways."""
    service = project(tmp_path, text)
    read_once = read(service.compose)
    scale.check_share(service, read_once, {"a": 1, "b": 1})
    with pytest.raises(UsageError, match=bound) as caught:
        scale.check_share(service, read_once, {"a": 2, "b": 1})
    assert "say worker=2 or less" in str(caught.value)


def test_project_of_several_must_say_which(tmp_path: Path) -> None:
    """Only one of the service's own name is meant without saying."""
    service = project(tmp_path, "services: {a: {image: a}, b: {image: b}}")
    with pytest.raises(UsageError, match=r"which of a, b in .* is to be scaled") as caught:
        scale.check_share(service, read(service.compose), {"a": 1})
    assert "call that one 'worker'" in str(caught.value)

"""In which order services are asked whether they are healthy."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.paths import PROJECT
from harness.core.progress import Progress
from harness.deploy import order, remote
from harness.topology import load
from harness.topology.model import Flow, Topology

module = import_module("harness.deploy.deploy")  # the package has a function of that name
NOTHING: Any = None
STANDARD = load(PROJECT / "topologies/standard.yaml", compose=False)
SERVERS = {"judge0-server@server-1", "judge0-server@server-2"}


def bundles(topology: Topology) -> list[Any]:
    """What is to be deployed where, and no more."""
    return [
        SimpleNamespace(label=f"{each.name}@{node}", node=node, service=each)
        for each in topology.services
        for node in each.nodes
    ]


def intended(*flows: tuple[str, str, str]) -> Any:
    """A topology that lets these connect, by TCP to the ports."""
    return SimpleNamespace(intent=[Flow(source, to, "tcp", ports) for source, to, ports in flows])


def pieces(**services: tuple[str, Sequence[int]]) -> list[Any]:
    """Bundles by name, each with its droplet and its ports."""
    return [
        SimpleNamespace(label=name, node=node, service=SimpleNamespace(ports=ports))
        for name, (node, ports) in services.items()
    ]


def test_a_service_needs_those_that_the_intent_lets_it_connect_to() -> None:
    """Databases and the internet are none of them."""
    found = order.needs(STANDARD, bundles(STANDARD))
    assert found["client@client"] == {"runner@runner"}
    assert found["runner@runner"] == {"judge0-lb@judge0-lb"}
    assert found["judge0-lb@judge0-lb"] == SERVERS
    assert all(not found[each] for each in found if each.startswith(("judge0-server", "judge0-worker")))


@pytest.mark.parametrize("turn", [1, -1])
def test_what_is_needed_comes_first(turn: int) -> None:
    """In whichever order the topology has it."""
    every = bundles(STANDARD)[::turn]
    found = order.needs(STANDARD, every)
    labels = [each.label for each in order.first_the_needed(every, found)]
    assert sorted(labels) == sorted(each.label for each in every)
    assert all(labels.index(need) < labels.index(label) for label, needed in found.items() for need in needed)


def test_only_ports_of_a_service_count() -> None:
    """And only of the droplet that it is on."""
    every = pieces(a=("one", [80]), b=("two", [4000, 5000]), c=("two", [7000]), d=("three", [5000]))
    found = order.needs(intended(("one", "two", "4500-5500")), every)
    assert found == {"a": {"b"}, "b": set(), "c": set(), "d": set()}


def test_services_that_need_each_other_do_not_wait_for_ever() -> None:
    """One of them is asked at once."""
    every = pieces(a=("one", [1]), b=("two", [2]), c=("three", [3]))
    flows = (("one", "two", "2"), ("two", "three", "3"), ("three", "one", "1"))
    found = order.needs(intended(*flows), every)
    assert found == {"a": {"b"}, "b": {"c"}, "c": set()}
    assert [each.label for each in order.first_the_needed(every, found)] == ["c", "b", "a"]


class Droplets:
    """Three droplets: a balancer, which has started long before its two servers are healthy."""

    def __init__(self, fails: str) -> None:
        self.noted: list[str] = []
        self._fails, self._started = fails, Event()

    def start(self, _: Any, bundle: Any) -> None:
        if bundle.label == "lb":
            self._started.set()

    def wait_until_healthy(self, _: Any, bundle: Any, __: Any) -> None:
        assert self._started.wait(60)
        self.noted.append(bundle.label)
        if bundle.label == self._fails:
            raise ZeroDivisionError

    def deploy(self) -> None:
        """All at once."""
        made = pieces(lb=("l", [1]), one=("o", [1]), two=("t", [1]))
        ended = {each.label: Event() for each in made}
        with ThreadPoolExecutor() as pool:
            for bundle in made:
                bundle.service.health, bundle.images = "http://127.0.0.1", {}
                needed = frozenset(("one", "two") if bundle.label == "lb" else ())
                job = module._Job(NOTHING, NOTHING, Progress(quiet=True), ended, needed)
                pool.submit(module._deploy_bundle, job, bundle, {})


@pytest.mark.parametrize("fails", ["", "two"])
def test_a_balancer_is_asked_after_its_servers(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    """Also where one of them has failed: nobody waits for what will not come."""
    droplets = Droplets(fails)
    for name in ("wait_until_ready", "is_deployed", "ship_images", "install", "mark_deployed"):
        monkeypatch.setattr(remote, name, lambda *_: False)
    monkeypatch.setattr(remote, "start", droplets.start)
    monkeypatch.setattr(remote, "wait_until_healthy", droplets.wait_until_healthy)
    droplets.deploy()
    assert droplets.noted[-1] == "lb"
    assert sorted(droplets.noted) == ["lb", "one", "two"]

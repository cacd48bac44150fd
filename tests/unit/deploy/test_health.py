"""What counts as up, healthy and failed, read from what a node says."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.wait import NotYet
from harness.deploy.bundle import Bundle
from harness.deploy.remote import DeadContainerError, _check_health, parse_containers
from harness.topology.model import Service

STARTING = "running|Up 2 seconds (health: starting)|web_1"
HEALTHY = "running|Up 9 seconds (healthy)|web_1"
UNHEALTHY = "running|Up 9 minutes (unhealthy)|web_1"
ENDED = "exited|Exited (0) 3 seconds ago|init_1"
FAILED = "exited|Exited (1) 3 seconds ago|web_1"


def bundle(health: str) -> Bundle:
    service = Service("web", ("node",), Path("docker-compose.yml"), (), {}, (), health)
    return Bundle(service, "node", (), {}, 1, "digest")


def judge(listing: str, answer: str = "", health: str = "") -> None:
    _check_health(f"{listing}\n---\n{answer}", bundle(health))


def test_without_a_url_dockers_own_check_is_waited_for() -> None:
    """A health check that has not looked yet says nothing."""
    with pytest.raises(NotYet, match="starting"):
        judge(STARTING)
    judge(HEALTHY)


def test_an_answering_url_needs_no_look_of_dockers_check() -> None:
    """Its first look comes a whole interval after the start."""
    judge(STARTING, "answered", "http://127.0.0.1:80/")


def test_a_silent_url_is_waited_for_however_healthy_docker_finds_it() -> None:
    """The topology's URL counts."""
    with pytest.raises(NotYet, match=r"curl: \(7\)"):
        judge(HEALTHY, "curl: (7) refused", "http://127.0.0.1:80/")


def test_an_unhealthy_container_is_not_made_good_by_its_url() -> None:
    """Docker's check has looked, and said no."""
    with pytest.raises(NotYet, match="unhealthy"):
        judge(UNHEALTHY, "answered", "http://127.0.0.1:80/")


def test_a_container_that_failed_for_good_ends_the_wait() -> None:
    """Waiting longer would change nothing."""
    with pytest.raises(DeadContainerError, match="Exited"):
        judge(FAILED)


@pytest.mark.parametrize(
    ("line", "up"), [(STARTING, True), (ENDED, True), (UNHEALTHY, False), (FAILED, False)]
)
def test_a_second_deployment_touches_only_what_is_not_up(line: str, up: bool) -> None:
    """One whose check has not looked yet is up: starting it again would only delay it."""
    (container,) = parse_containers(line)
    assert container.up is up

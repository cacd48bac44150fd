"""What counts as up, healthy and failed, read from what a node says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from other_app import OtherApp, Seen, serving

from harness.core.wait import NotYet
from harness.deploy.bundle import Bundle
from harness.deploy.remote import (
    DeadContainerError,
    HealthCheck,
    _check_health,
    health_script,
    parse_containers,
)
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


TOKEN = 'to"k\\en $HOME `id` %s'


class Watched(OtherApp):
    """An application that looks at this machine's process list while it is asked."""

    def answer(self, asked: Seen) -> tuple[int, Any]:
        """Note where the token can be read."""
        self.names += [each for each in argument_lists() if 'to"k' in each]
        return super().answer(asked)


def argument_lists() -> Iterator[str]:
    """The command lines and environments of all processes but this one."""
    for each in Path("/proc").iterdir():
        if each.name.isdecimal() and int(each.name) != os.getpid():
            for part in ("cmdline", "environ"):
                try:
                    yield (each / part).read_bytes().decode(errors="replace")
                except OSError:
                    continue


def run(checks: list[HealthCheck], **environment: str) -> str:
    """What a node's shell prints."""
    script, given = health_script(checks)
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        input=given,
        capture_output=True,
        check=True,
        env={**os.environ, **environment},
        timeout=60,
    )
    assert done.stderr == b""
    return done.stdout.decode()


def test_a_check_with_headers_sends_them_and_shows_them_to_nobody() -> None:
    """Whatever characters they have; no process has them in its arguments or environment."""
    with serving(Watched(token=TOKEN)) as app:
        url = f"http://127.0.0.1:{app.port}"
        headers = {"X-Auth-Token": TOKEN}
        output = run(
            [HealthCheck(f"{url}/health", headers), HealthCheck(f"{url}/health"), HealthCheck(url, headers)]
        )
    first, refused, last = output.split("---\n")[1:]
    assert (first, last) == ("answered\n", "answered\n")
    assert "401" in refused
    assert [each.headers.get("x-auth-token") for each in app.seen] == [TOKEN, None, TOKEN]
    assert app.names == []


def test_a_wrong_header_is_no_answer() -> None:
    """The error is curl's own, without the header."""
    with serving(OtherApp(token=TOKEN)) as app:
        output = run([HealthCheck(f"http://127.0.0.1:{app.port}/health", {"X-Auth-Token": "wrong-one"})])
    assert "401" in output
    assert "answered" not in output
    assert "wrong-one" not in output


def test_headers_need_curl(tmp_path: Path) -> None:
    """wget would show them to everybody, so it is not taken; what is missing is said."""
    (tmp_path / "wget").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "wget").chmod(0o755)
    output = run([HealthCheck("http://127.0.0.1:9/", {"X": "y"})], PATH=str(tmp_path))
    assert "curl is not installed" in output
    assert "answered" not in output

"""Where a run took place: what a node is asked, what Judge0 tells, and whether the machine is calm."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import CommandError
from harness.judge0.workers import Workers
from harness.load.watch import noise
from harness.load.watch.environment import inspect_script, judge0, parse_inspection, this_machine

CALM = noise.Noise(0.06, 0.2, 0.2, 0.22, 0.0, 0.03, (0.1, 0.1, 0.1))
DOCKER = """#!/bin/sh
case "$*" in
version*) echo 24.0.7;;
ps*) echo "aa|judge0:1|judge0-worker|||judge0-worker_1"; echo "bb|judge0:1||stack|stack_judge0-lb|x.1";;
*State.Pid*) echo {pid};;
*Config.Env*aa) echo COUNT=4; echo POSTGRES_PASSWORD=hidden; echo MY_COUNT=9;;
*) ;;
esac
"""


@pytest.fixture
def output(tmp_path: Path) -> str:
    """What the script prints on this machine, with an engine that has two containers."""
    engine = tmp_path / "docker"
    engine.write_text(DOCKER.format(pid=os.getpid()))
    engine.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", inspect_script()], capture_output=True, text=True, check=True, env={"PATH": path}
    )
    return done.stdout


def test_a_node_tells_its_kernel_its_limits_and_its_containers(output: str) -> None:
    """With the settings of each, by service."""
    found = parse_inspection(output)
    assert found["kernel"] == os.uname().release
    assert found["cores"] >= 1
    assert found["memory_mb"] > 100
    assert found["engine"] == "24.0.7"
    assert int(found["sysctl"]["net.core.somaxconn"]) > 0
    [worker] = found["containers"]["judge0-worker"]
    assert (worker["image"], worker["settings"]) == ("judge0:1", {"COUNT": "4"})
    assert worker["nofile"].isdigit() or worker["nofile"] == "unlimited"
    assert found["containers"]["judge0-lb"][0]["settings"] == {}


def test_no_secret_of_a_container_is_reported(output: str) -> None:
    """Only variables that limit a load leave the node."""
    assert "COUNT=4" in output
    assert "hidden" not in output
    assert "MY_COUNT" not in output


def test_lines_that_are_not_known_are_left_out() -> None:
    """And details of a container that is not."""
    found = parse_inspection("motd of the day\nnofile|zz|9\nmemory|max\nmemory|1048576\nsetting|zz|COUNT=1\n")
    assert found == {"sysctl": {}, "containers": {}, "memory_mb": 1}


def test_nginx_is_reported_by_its_version() -> None:
    """Without the words around it."""
    found = parse_inspection("container|aa|image|lb|||lb_1\nnginx|aa|nginx version: nginx/1.22.1\n")
    assert found["containers"]["lb"][0]["nginx"] == "nginx/1.22.1"


def test_judge0_tells_its_limits_and_what_it_does_not_is_unknown() -> None:
    """Whatever it answers, nothing raises."""
    answers: dict[str, Any] = {"/config_info": {"max_queue_size": 100, "homepage": "x"}, "/about": {"no": 1}}

    def count() -> Workers:
        raise CommandError(["ssh", "worker-1"], 255, "No route to host")

    found = judge0(lambda path: answers[path], count)
    assert found["settings"] == {"max_queue_size": 100}
    assert set(found["unknown"]) == {"version", "workers"}
    assert "No route to host" in found["unknown"]["workers"]
    assert judge0(lambda path: answers[path], lambda: Workers(4, 1))["workers"] == 4


def test_this_machine_is_reported() -> None:
    """By its own kernel."""
    assert this_machine()["kernel"].endswith(os.uname().release)


def test_a_calm_machine_puts_nothing_in_doubt() -> None:
    """No words."""
    assert noise.noisy(CALM) == ""
    assert noise.noisy(replace(CALM, steal=None, others=None)) == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"wake_p99_ms": 3.0}, "3.0 ms late"),
        ({"loop_p99_ms": 0.6}, "3.0 times as long"),
        ({"steal": 0.1}, "hypervisor takes 10 %"),
        ({"others": 0.6}, "60 % of the cores were in use"),
    ],
)
def test_noise_is_reported_in_words(changed: dict[str, float], said: str) -> None:
    """Each kind by itself."""
    assert said in noise.noisy(replace(CALM, **changed))


def test_noise_is_measured_on_this_machine() -> None:
    """Nobody is woken early, work takes time, and shares are shares."""
    found = noise.measure(0.05)
    assert 0 <= found.wake_p50_ms <= found.wake_p99_ms
    assert 0 < found.loop_p50_ms <= found.loop_p99_ms
    assert found.others is not None
    assert found.others >= 0
    assert set(found.to_dict()) > {"noisy", "wake_p99_ms", "loadavg"}

"""The wheel over an engine: a small topology up, checked and down again, all in one empty directory."""

from __future__ import annotations

import json
from dataclasses import replace

import docker
import docker.errors
import pytest
from small_plan import write_plan

from conftest import Installed
from emulator.docker.images.build import base_reference

pytestmark = pytest.mark.docker


@pytest.fixture
def engine() -> None:
    """Skips where no engine has the emulator's images: to make them takes minutes."""
    try:
        client = docker.from_env()
        try:
            client.images.get(base_reference())
        finally:
            client.close()
    except docker.errors.DockerException as error:
        pytest.skip(f"no engine with the emulator's images: {error}")


def test_up_checks_and_down(engine: None, installed: Installed) -> None:
    """What is not of the current directory's `.wavetank` is as it was."""
    user = replace(installed, variables={"XDG_CACHE_HOME": installed.variables["XDG_CACHE_HOME"]})
    plan = write_plan(user.directory / "plan")
    try:
        up = user("wavetank", "up", f"--topology={plan}")
        assert up.returncode == 0, up.stderr
        checked = user(
            "pytest", "--target=local", "-p", "no:cacheprovider", "-k", "machines or engine_answers"
        )
        assert checked.returncode == 0, checked.stdout
        report = json.loads((user.directory / ".wavetank/latest/report.json").read_text())
        passed = {each["id"] for each in report["checks"] if each["outcome"] == "passed"}
        assert "nodes.engine_answers[front]" in passed
    finally:
        down = user("wavetank", "down")
    assert down.returncode == 0, down.stderr
    assert sorted(each.name for each in user.directory.iterdir()) == [".wavetank", "plan"]
    assert not (user.directory / ".wavetank/emulator").exists()

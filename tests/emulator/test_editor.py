"""A repository as its authors run it on one machine, deployed on seven droplets with not one file changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest
from beside import images_beside
from small_plan import Shell, shell

from harness.run.settings import PROJECT

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1500)]

BUILD_SECONDS = 600  # a step may say nothing for long
TOPOLOGY = PROJECT / "tests/apps/editor.yaml"
# What it works with, not how its machines are closed: other tests have that.
CHECKS = "end_to_end or requests or nodes or judge0 or (front_door and not port)"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The editor, up."""
    with (
        closing(docker.from_env(timeout=BUILD_SECONDS)) as engine,
        images_beside(engine),
        shell(tmp_path_factory.mktemp("editor"), TOPOLOGY) as wavetank,
    ):
        done = wavetank.up("--run=editor").end(600)
        assert done.code == 0, done.err
        yield wavetank
        assert wavetank("down").code == 0
        assert wavetank.left() == []


def outcomes(wavetank: Shell, chosen: str) -> dict[str, set[str]]:
    """The names of the chosen checks by their outcome."""
    wavetank.begin("verify", "--no-faults", "-k", chosen).end(400)
    report = json.loads((wavetank.state_dir / "latest/report.json").read_text())
    found: dict[str, set[str]] = {}
    for each in report["checks"]:
        found.setdefault(each["outcome"], set()).add(each["id"])
    return found


def test_it_works_as_it_stands(standing: Shell) -> None:
    """Programs run, users sign up, Judge0 refuses without its token; what no log shows is inconclusive."""
    found = outcomes(standing, CHECKS)
    assert not found.get("failed")
    assert found["inconclusive"] == {
        "end_to_end.load_balancer_passes_it_to_a_server",
        "images.judge0_has_the_cgroups_that_it_needs",
        "load_balancer.requests_are_shared_out_as_configured",
    }
    assert found["passed"] >= {
        "end_to_end.worker_runs_it",
        "requests.request_is_answered[POST /api/auth/signup]",
    }


def test_a_second_up_changes_nothing(standing: Shell) -> None:
    """What the topology says on top of the files is deployed once."""
    done = standing.up("--run=editor", "-o", "json").end(300)
    assert done.code == 0, done.err
    assert (done.json["changes"], done.json["deployed"]) == ([], [])


def test_a_client_without_its_database_is_found(standing: Shell) -> None:
    """Its health check answers 200 all the same; only a request that needs the database shows it."""
    text = TOPOLOGY.read_text().replace("app: editor", f"app: {TOPOLOGY.parent}/editor")
    broken = "".join(line for line in text.splitlines(True) if "MONGODB_URI" not in line)
    assert broken != text
    file = standing.state_dir.parent / "broken.yaml"
    file.write_text(broken)
    done = standing.begin("up", f"--topology={file}", "--run=editor").end(400)
    assert done.code == 0, done.err
    found = outcomes(standing, "requests")
    assert any("signup" in each for each in found["failed"]), found

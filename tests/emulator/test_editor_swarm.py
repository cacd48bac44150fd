"""The same repository as a swarm of three droplets, with not one file changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from editors import APPS, Standing, editor

from harness.core.masking import STARS

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1500)]

TOPOLOGY = APPS / "editor-swarm.yaml"
# What differs in a swarm, and one of each of the rest.
CHECKS = (
    "(swarm and not (swarm_ or failover)) or (end_to_end and (python or worker or balancer)) "
    "or signup or every_worker or who_does_not_know or cgroups"
)
INSPECT = "docker service inspect $(docker service ls -q); docker config inspect $(docker config ls -q)"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """The editor, up in a swarm."""
    with editor(tmp_path_factory.mktemp("editor-swarm"), TOPOLOGY) as made:
        made.up(TOPOLOGY)
        yield made


def test_it_works_as_it_stands(standing: Standing) -> None:
    """Siblings of a file are services of their own, and find each other by their names in it."""
    found = standing.verify(CHECKS)
    assert not found["failed"]
    assert set(found["inconclusive"]) == {
        "images.judge0_has_the_cgroups_that_it_needs",
    }
    assert set(found["passed"]) >= {
        "end_to_end.load_balancer_passes_it_to_a_server",
        "swarm.servers_share_the_load",
        "answers.every_worker_answers_right",
        "end_to_end.worker_runs_it",
        "judge0.who_does_not_know_the_token_is_refused",
        "requests.request_is_answered[POST /api/auth/signup]",
        "swarm.every_worker_runs_programs",
        "swarm.passwords_are_secrets",
        "swarm.services_reach_each_other[judge0-lb]",
    }


def test_a_second_up_changes_nothing(standing: Standing) -> None:
    """What the topology says on top of the files is deployed once."""
    done = standing.shell.up("--run=editor", "-o", "json").end(300)
    assert done.code == 0, done.err
    assert (done.json["changes"], done.json["deployed"]) == ([], [])


def test_the_token_in_a_health_check_is_a_secret(standing: Standing) -> None:
    """The check works, and neither a service's definition nor a config shows its token."""
    shown = standing.shell("exec", "--run=editor", "-o", "json", "front", "--", INSPECT)
    assert shown.code == 0, shown.err
    text = shown.json[0]["output"]
    assert "/run/secrets/healthcheck" in text
    assert STARS not in text, "`exec` masks what is secret"

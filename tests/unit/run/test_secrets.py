"""The values of a topology's secrets: where they come from, who may read them, and that they stay."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.errors import TopologyError
from harness.run import secrets
from harness.run.rundir import RunDir
from harness.topology import Topology, load
from harness.topology.deployment import Deployment, secrets_of
from harness.topology.model import Secret
from harness.topology.rendering import render
from harness.topology.rendering.imagined import imagined

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def standard() -> Topology:
    """The bundled topology, which has no secrets."""
    return load(PROJECT / "topologies/standard.yaml")


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """A run's directory."""
    found = RunDir(tmp_path, "mine-1")
    found.create()
    return found


def with_declared(topology: Topology, *declared: Secret) -> Topology:
    """The topology with these secrets."""
    return replace(topology, secrets={each.name: each for each in declared})


def values(topology: Topology, run_dir: RunDir) -> Deployment:
    """The deployment that a command sees."""
    return secrets.with_secrets(replace(imagined(topology), secrets={}), topology, run_dir)


def test_a_generated_secret_stays_and_only_its_owner_reads_it(standard: Topology, run_dir: RunDir) -> None:
    """A second ``up`` keeps it; one that is new is added."""
    one = with_declared(standard, Secret("authn"))
    secrets.create(one, run_dir)
    first = values(one, run_dir).secrets["authn"]
    assert len(first) == 2 * secrets.BYTES
    two = with_declared(standard, Secret("authn"), Secret("session"))
    secrets.create(two, run_dir)
    found = values(two, run_dir).secrets
    assert found["authn"] == first
    assert found["session"] not in ("", first)
    assert stat.S_IMODE((run_dir.path / secrets.FILE).stat().st_mode) == 0o600


def test_two_runs_have_different_ones(standard: Topology, run_dir: RunDir) -> None:
    """A secret of one run says nothing of another's."""
    topology = with_declared(standard, Secret("authn"))
    other = RunDir(run_dir.state_dir, "mine-2")
    other.create()
    for each in (run_dir, other):
        secrets.create(topology, each)
    assert values(topology, run_dir).secrets != values(topology, other).secrets


def test_from_a_variable_and_from_a_file(
    standard: Topology, run_dir: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine has them; they are kept nowhere else."""
    file = tmp_path / "licence.txt"
    file.write_text("a b\n")
    topology = with_declared(standard, Secret("mail", environment="MAIL_TOKEN"), Secret("licence", file=file))
    monkeypatch.setenv("MAIL_TOKEN", "m4il-token")
    secrets.check(topology)
    secrets.create(topology, run_dir)
    assert values(topology, run_dir).secrets == {"mail": "m4il-token", "licence": "a b"}
    assert not (run_dir.path / secrets.FILE).exists()


@pytest.mark.parametrize("content", ["", "\n"], ids=["empty", "a line break"])
def test_one_without_a_value_is_told_before_anything_is_made(
    standard: Topology, run_dir: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """With its key and what to do; commands that do not need it go on."""
    file = tmp_path / "licence.txt"
    file.write_text(content)
    monkeypatch.delenv("MAIL_TOKEN", raising=False)
    for secret, remedy in (
        (Secret("mail", environment="MAIL_TOKEN"), "export MAIL_TOKEN=..."),
        (Secret("licence", file=file), "write the secret into it"),
    ):
        topology = with_declared(standard, secret)
        with pytest.raises(TopologyError) as caught:
            secrets.check(topology)
        assert (caught.value.field, caught.value.remedy) == (f"secrets.{secret.name}", remedy)
        assert values(topology, run_dir).secrets == {}


def test_one_that_no_file_can_carry_is_told_before_anything_is_made(
    standard: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be refused once all machines are there."""
    monkeypatch.setenv("MAIL_TOKEN", "it's $ecret")
    with pytest.raises(TopologyError, match="cannot be written into a file") as caught:
        secrets.check(with_declared(standard, Secret("mail", environment="MAIL_TOKEN")))
    assert "ecret" not in str(caught.value).replace("secrets.mail", "")


def test_an_expression_has_the_value_and_it_is_masked(standard: Topology, run_dir: RunDir) -> None:
    """``.env`` holds it, and it is among what is masked in all output."""
    service = next(each for each in standard.services if each.name == "runner")
    using = replace(service, environment={**service.environment, "AUTHN_TOKEN": "{{ secrets.authn }}"})
    topology = with_declared(standard, Secret("authn"))
    secrets.create(topology, run_dir)
    deployment = values(topology, run_dir)
    rendered = render.render_service(topology, deployment, using, "runner")
    assert deployment.secrets["authn"] in rendered[render.ENV]
    assert deployment.secrets["authn"] in secrets_of(deployment)
    assert deployment.secrets["authn"] not in repr(deployment)


def test_one_that_is_not_on_this_machine_is_an_error_where_it_is_used(
    standard: Topology, run_dir: RunDir
) -> None:
    """An empty token would be a deployment without one."""
    service = next(each for each in standard.services if each.name == "runner")
    using = replace(service, environment={"AUTHN_TOKEN": "{{ secrets.authn }}"})
    topology = with_declared(standard, Secret("authn"))
    with pytest.raises(TopologyError, match="is not known here: it is kept by the machine that ran"):
        render.render_service(topology, values(topology, run_dir), using, "runner")


@pytest.mark.parametrize("text", ["[]", '{"authn": 1}', "{", '{"authn": ""}'])
def test_a_broken_file_is_named(standard: Topology, run_dir: RunDir, text: str) -> None:
    """With what happens if it is removed."""
    (run_dir.path / secrets.FILE).write_text(text)
    with pytest.raises(TopologyError, match=r"secrets\.json"):
        secrets.create(with_declared(standard, Secret("authn")), run_dir)


def test_what_was_generated_is_not_written_anew(standard: Topology, run_dir: RunDir) -> None:
    """``create`` leaves a file alone that has everything."""
    (run_dir.path / secrets.FILE).write_text(json.dumps({"authn": "given-by-hand"}))
    topology = with_declared(standard, Secret("authn"))
    secrets.create(topology, run_dir)
    assert values(topology, run_dir).secrets == {"authn": "given-by-hand"}

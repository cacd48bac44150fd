"""down and sweep ask, name and look first: nothing that others made, use or are bound to goes unasked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import click
import pydo
import pytest
from tests_cli import Outcome, Stage

from harness.cli import consent
from harness.cli.main import Stopped
from harness.core.errors import ResourceError, UsageError
from harness.deploy import DeployResult
from harness.run import lease
from harness.run.lease import LIFE_SECONDS, Lease
from harness.target import emulator_process

MACHINE = {"region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}


def call(stage: Stage, command: str, *arguments: object) -> Outcome:
    """A command on the stage's target."""
    return stage.wavetank(command, "--target=do", f"--state-dir={stage.state_dir}", *arguments)


@pytest.fixture
def client(memory_emulator: emulator_process.EmulatorStatus) -> Any:
    """Somebody else's client of the same account."""
    return pydo.Client(
        memory_emulator.token,
        endpoint=memory_emulator.https,
        connection_verify=str(memory_emulator.ca_file),
    )


@pytest.fixture
def stands(stage: Stage) -> Stage:
    """Run "a" is up."""
    assert call(stage, "up", "--yes", "--run=a").code == 0
    return stage


@pytest.fixture
def leased(client: Any) -> Iterator[Lease]:
    """Somebody on another machine uses run "a"."""
    held = Lease("a", int(time.time()) + LIFE_SECONDS, "anna", "laptop", "0a1b2c3d")
    client.tags.create(body={"name": held.tag})
    yield held
    client.tags.delete(held.tag)


def everything(client: Any) -> dict[str, list[str]]:
    """All that there is, by kind."""
    page = {"per_page": 200}
    return {
        "droplets": sorted(str(each["id"]) for each in client.droplets.list(**page)["droplets"]),
        "firewalls": sorted(each["name"] for each in client.firewalls.list(**page)["firewalls"]),
        "vpcs": sorted(each["name"] for each in client.vpcs.list(**page)["vpcs"]),
        "tags": sorted(each["name"] for each in client.tags.list(**page)["tags"]),
        "keys": sorted(each["name"] for each in client.ssh_keys.list(**page)["ssh_keys"]),
        "databases": sorted(each["name"] for each in client.databases.list_clusters()["databases"]),
    }


def test_down_of_a_run_that_is_not_there(stage: Stage) -> None:
    """A typing error is no success; what there is is told."""
    gone = call(stage, "down", "--run=typo", "--yes")
    assert (gone.code, gone.out) == (4, "")
    assert "there is no run 'typo' on do; existing runs: none" in gone.err
    assert not (stage.state_dir / "runs").exists()


def test_a_typing_error_starts_no_emulator(stage: Stage) -> None:
    """Where there is none, nothing can be there."""
    gone = stage.wavetank("down", "--run=typo", f"--state-dir={stage.state_dir}")
    assert gone.code == 4
    assert "there is no run 'typo' on local; existing runs: none" in gone.err
    assert not stage.state_dir.exists()


def test_a_cloud_is_asked_about(stands: Stage, client: Any) -> None:
    """Nobody is here to agree: each thing is listed, nothing goes; then all of it, and again is fine."""
    before = everything(client)
    assert "wavetank-a" in before["vpcs"]
    for refused in (
        call(stands, "down", "--run=a"),
        call(stands, "sweep", "--older-than=0s"),
    ):
        assert refused.code == 4
        assert "use --yes" in refused.err
        for name in (*before["droplets"], "wavetank-a--internal-runner", "ssh key wavetank-a"):
            assert name in refused.err
        assert everything(client) == before
    done = call(stands, "down", "--run=a", "--yes", "-o", "json")
    assert done.code == 0, done.err
    removed = json.loads(done.out)["removed"]
    assert {each["id"] for each in removed if each["kind"] == "droplet"} == set(before["droplets"])
    assert all(each["age_seconds"] is not None for each in removed if each["kind"] in ("droplet", "vpc"))
    again = call(stands, "down", "--run=a", "--yes")
    assert (again.code, again.out) == (0, "a is gone from do\n")
    assert "a" in call(stands, "down", "--run=b").err


def test_somebody_elsewhere_uses_it(stands: Stage, client: Any, leased: Lease) -> None:
    """``sweep`` leaves it alone, ``down`` needs --force; both say who."""
    before = everything(client)
    swept = call(stands, "sweep", "--older-than=0s", "--yes", "-o", "json")
    (left,) = json.loads(swept.out)["left"]
    assert (swept.code, left["run"]) == (0, "a")
    assert "anna on laptop" in left["reason"]
    refused = call(stands, "down", "--run=a", "--yes")
    assert refused.code == 4
    assert "anna on laptop" in refused.err
    assert "--force" in refused.err
    assert everything(client) == before
    forced = call(stands, "down", "--run=a", "--yes", "--force")
    assert forced.code == 0, forced.err


@pytest.mark.parametrize("ending", [None, Stopped(2), ResourceError("service", "a", "is not healthy")])
def test_a_command_holds_a_lease_and_gives_it_back(
    stage: Stage, client: Any, ending: BaseException | None
) -> None:
    """However it ends; meanwhile a sweep from anywhere leaves the run alone."""
    seen: list[str] = []

    def deploy(*_: object, **__: object) -> DeployResult:
        seen.extend(tag for tag in everything(client)["tags"] if tag.startswith("wavetank-lease:"))
        if ending is not None:
            raise ending
        return DeployResult((), ())

    stage.deploy = deploy
    call(stage, "up", "--yes", "--run=a", "--keep")
    (held,) = map(lease.parse, seen)
    assert held is not None
    assert (held.run, held.holder) == ("a", lease.me())
    assert [tag for tag in everything(client)["tags"] if "lease" in tag] == []


def test_a_stranger_in_the_network_is_seen_by_everybody_and_loses_nothing(stands: Stage, client: Any) -> None:
    """It has only a node's tag: ``status``, ``diff`` and ``drift`` show it; ``down`` and ``sweep`` stop."""
    (vpc,) = (each for each in client.vpcs.list(per_page=200)["vpcs"] if each["name"] == "wavetank-a")
    body = {"name": "intruder", "vpc_uuid": vpc["id"], "tags": ["wavetank:a:runner"], **MACHINE}
    intruder = client.droplets.create(body=body)["droplet"]["id"]
    before = everything(client)
    try:
        for command in (["status"], ["diff", "--no-observe"], ["drift"]):
            shown = call(stands, *command, "--run=a")
            assert shown.code == 1, command
            assert "intruder" in shown.out, command
        down = call(stands, "down", "--run=a", "--yes")
        assert down.code == 4
        assert f"droplet intruder ({intruder}): is in vpc wavetank-a" in down.err
        assert "remedy" in down.err
        swept = call(stands, "sweep", "--older-than=0s", "--yes")
        assert (swept.code, swept.out) == (4, "nothing to sweep\n")
        assert f"droplet intruder ({intruder})" in swept.err
        assert everything(client) == before
    finally:
        client.droplets.destroy(intruder)
    assert call(stands, "down", "--run=a", "--yes").code == 0


def test_up_beside_what_somebody_else_made(stage: Stage, client: Any) -> None:
    """A VPC with the run's name, made by hand: named, exit code 4, nothing made."""
    vpc = client.vpcs.create(body={"name": "wavetank-shared", "region": "fra1"})["vpc"]["id"]
    before = everything(client)
    try:
        refused = call(stage, "up", "--yes", "--run=shared")
        assert refused.code == 4
        assert f"vpc wavetank-shared ({vpc})" in refused.err
        assert everything(client) == before
        swept = call(stage, "sweep", "--older-than=0s", "--yes")
        assert swept.out == "nothing to sweep\n"
        assert f"not deleted: vpc wavetank-shared ({vpc})" in swept.err
        assert call(stage, "down", "--run=shared", "--yes").code == 4
        assert everything(client) == before
    finally:
        client.vpcs.delete(vpc)


@pytest.mark.parametrize("answer", [True, False])
def test_a_terminal_is_asked(monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    """Yes is yes; no ends it."""
    from harness.provision import Item

    monkeypatch.setattr(consent.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: answer)
    agree, items = consent.deletion_confirmation("do", yes=False), [Item("tag", "wavetank:a")]
    if answer:
        agree(items)
        return
    with pytest.raises(UsageError, match="nothing was deleted"):
        agree(items)


def test_nothing_is_asked_on_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    """But all of it is listed."""
    from harness.provision import Item

    consent.deletion_confirmation("local", yes=False)([Item("droplet", "web", "7", "2026-01-01T00:00:00Z")])
    assert "droplet web (7), " in capsys.readouterr().err

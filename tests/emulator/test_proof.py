"""The proof on real machines: clean where the deployment is as planned, and telling where it is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from small_plan import Shell, shell, write_plan

from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.run.settings import Settings, choose_existing, resolve_existing
from harness.target.api import Api, every
from harness.target.emulator_api import EmulatorApi
from harness.target.target import Target

pytestmark = pytest.mark.docker

SOURCES, TARGETS = 4, 6  # two droplets, the internet, a stranger; both addresses of three machines


@pytest.fixture(scope="module")
def wavetank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The small plan, up, and a command line over it."""
    directory = tmp_path_factory.mktemp("proof")
    with shell(directory / "one", write_plan(directory / "plan")) as made:
        done = made.up().end()
        assert done.code == 0, done.err
        yield made


@pytest.fixture(scope="module")
def target(wavetank: Shell) -> Target:
    """Its emulator."""
    return resolve_existing(choose_existing(Settings(state_dir=wavetank.state_dir)), Progress(quiet=True))


@contextmanager
def changed(target: Target, firewall: str, **lists: Any) -> Iterator[None]:
    """A firewall of the run with other rules, for the length of a block; in force at its beginning."""
    with Api(target) as api:
        (found,) = (
            each for each in every(api.client.firewalls.list, "firewalls") if each["name"].endswith(firewall)
        )
        body = {key: found[key] for key in ("name", "inbound_rules", "outbound_rules", "tags", "droplet_ids")}
        try:
            _put(api, found["id"], {**body, **lists})
            yield
        finally:
            _put(api, found["id"], body)


def _put(api: Api, firewall: str, body: dict[str, Any]) -> None:
    api.client.firewalls.update(firewall, body=body)

    def probe() -> None:
        now = api.client.firewalls.get(firewall)["firewall"]
        if now["status"] != "succeeded" or now["pending_changes"]:
            raise NotYet(now["status"])

    wait_for("the firewall to be in force", probe, deadline=30)


def report(wavetank: Shell) -> dict[str, Any]:
    """The run's report."""
    found: dict[str, Any] = json.loads((wavetank.state_dir / "latest" / "report.json").read_text())
    return found


def test_planned_deployment_is_proven(wavetank: Shell) -> None:
    """All ports of all pairs, both evidence sources, nothing differs, nothing is in doubt."""
    done = wavetank("verify", "-k", "isolation or gates")
    assert done.code == 0, done.err
    told = report(wavetank)["isolation"]
    assert (told["violations"], told["inconclusive"], told["partial"]) == ([], [], "")
    assert (told["ports_per_pair"], told["passes"]) == (65535, 2)
    assert told["witnesses"] == ["prober", "fabric"]
    assert told["pairs"] >= SOURCES * TARGETS - 2 * 2
    row = next(
        each
        for each in told["matrix"]
        if (each["source"], each["target"], each["side"], each["protocol"])
        == ("front", "back", "private", "tcp")
    )
    assert (row["open"], row["may"], row["computed"]) == ("22,8080", "22,8080", "22,8080")


def test_widened_rule_is_found_and_named(wavetank: Shell, target: Target) -> None:
    """One port more on both sides: the check fails, and says where, by which rule, and how to see it."""
    wider = {"protocol": "tcp", "ports": "8080-8081"}
    anywhere = {"addresses": ["0.0.0.0/0"]}
    with (
        changed(target, "--front", outbound_rules=[{**wider, "destinations": anywhere}]),
        changed(target, "--back", inbound_rules=[{**wider, "sources": anywhere}]),
    ):
        done = wavetank("verify", "-k", "every_port and front")
    assert done.code == 1, done.err
    assert {each["source"] for each in report(wavetank)["isolation"]["matrix"]} == {"front"}
    assert "ports were probed from front only" in report(wavetank)["notes"]
    found = [
        each
        for each in report(wavetank)["isolation"]["violations"]
        if (each["source"], each["target"], each["side"]) == ("front", "back", "private")
    ]
    assert [(each["protocol"], each["ports"]) for each in found] == [("tcp", "8081")]
    assert found[0]["firewall"].endswith(("--back", "--front"))
    assert "8080-8081" in found[0]["rule"]
    assert "8081" in found[0]["reproduce"]


def test_rules_put_in_by_hand_are_red(wavetank: Shell, target: Target) -> None:
    """Packets go first, the foreign rule is named, and `up` puts it right: never green in between."""
    assert wavetank("diff", "--no-observe").code == 0
    with EmulatorApi(target) as emulator:
        emulator.ask("POST", "/ruleset/faults", {"fault": "tcp"})
    told = wavetank("diff", "front", "back", "-o", "json")
    assert told.code == 1, told.err
    (foreign,) = told.json["tampering"]
    assert "has a foreign line: tcp dport 7777 accept" in foreign
    # The stranger of a scan before may still be on its way out, which applies rules anew and puts this right.
    through = {(each["ports"], each["observed"]) for each in told.json["differences"]}
    assert through == (set() if "found and restored" in foreign else {("7777", "admitted")})
    done = wavetank("verify", "-k", "network_is_as_it_was_made or (every_port and back)")
    assert done.code == 1, done.err
    told = {each["id"]: each["outcome"] for each in report(wavetank)["checks"]}
    assert told["isolation.network_is_as_it_was_made"] == "failed"
    assert told["isolation.every_port_is_as_intended[back]"] != "passed"
    assert "tcp dport 7777 accept" in report(wavetank)["isolation"]["tampering"][0]
    done = wavetank.up().end()
    assert done.code == 0, done.err
    assert "restored a manual change" in done.err
    assert wavetank("verify", "-k", "network_is_as_it_was_made").code == 0


def test_closed_rule_is_found(wavetank: Shell, target: Target) -> None:
    """What has to get through and does not is as wrong as what gets through and must not."""
    with changed(target, "--back", inbound_rules=[]):
        done = wavetank("verify", "-k", "every_port and front")
    assert done.code == 1, done.err
    found = report(wavetank)["isolation"]["violations"]
    told = [(each["ports"], each["observed"]) for each in found if each["source"] == "front"]
    assert ("8080", "denied") in told


def test_source_without_power_is_in_doubt(wavetank: Shell, target: Target) -> None:
    """A droplet that is off proves nothing by its silence: the run does not pass."""
    with Api(target) as api:
        (back,) = (
            each["id"] for each in every(api.client.droplets.list, "droplets") if each["name"] == "back"
        )
        _power(api, back, "power_off", "off")
        try:
            done = wavetank("verify", "-k", "isolation")
        finally:
            _power(api, back, "power_on", "active")
    assert done.code == 2, done.err
    told = {each["id"]: (each["outcome"], each["reason"]) for each in report(wavetank)["checks"]}
    outcome, reason = told["isolation.every_port_is_as_intended[back]"]
    assert outcome == "inconclusive"
    assert "back is off" in reason
    assert report(wavetank)["isolation"]["partial"].endswith("could not be probed: back is off")


def _power(api: Api, droplet: int, action: str, status: str) -> None:
    api.client.droplet_actions.post(droplet, body={"type": action})

    def probe() -> None:
        now = api.client.droplets.get(droplet)["droplet"]["status"]
        if now != status:
            raise NotYet(now)

    wait_for(f"the droplet to be {status}", probe, deadline=60)

"""``wavetank diff``, ``explain`` and ``drift`` over an emulator that runs no machines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydo
import pytest
from tests_cli import Outcome

from harness.core.names import resource_name
from harness.core.progress import Progress
from harness.firewall.from_api import inspect
from harness.firewall.model import Pair
from harness.isolation import explain, prove
from harness.isolation.counted import tampering
from harness.isolation.counted.tampering import Tampering
from harness.isolation.model import Observation, ScanResult
from harness.isolation.prove import Proof
from harness.provision import destroy, provision
from harness.run import settings
from harness.run.rundir import RunDir
from harness.target import emulator_process
from harness.target.target import Target
from harness.topology import load
from harness.topology.model import Topology

RUN = "walls"


@pytest.fixture(scope="module")
def topology() -> Topology:
    """The standard topology."""
    return load(settings.topology_file("standard"))


@pytest.fixture(scope="module")
def target(memory_emulator: emulator_process.EmulatorStatus) -> Target:
    """The memory plane as if it were the cloud."""
    return Target(
        "do",
        memory_emulator.https,
        memory_emulator.token,
        memory_emulator.ca_file,
        operators=("198.51.100.7/32",),
    )


@pytest.fixture(scope="module")
def state_dir(target: Target, topology: Topology, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run that stands, with the bootstrap firewall gone as after ``up``; taken down after the last test."""
    state_dir = tmp_path_factory.mktemp("isolation")
    run_dir = RunDir(state_dir, RUN)
    run_dir.path.mkdir(parents=True)
    run_dir.remember(target="do", topology="standard")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH3nYkqLFz2g3cQGm1v5Z9lqY6n5QJc8W0B1zv3q8m5H x"
    provision(target, topology, RUN, public_key=key, progress=Progress(quiet=True))
    client = _client(target)
    client.firewalls.delete(_firewall(client, "bootstrap")["id"])
    yield state_dir
    destroy(target, RUN, progress=Progress(quiet=True))


@pytest.fixture
def client(target: Target) -> Any:
    """A plain client, to meddle with."""
    return _client(target)


@pytest.fixture
def call(
    wavetank: Callable[..., Outcome],
    memory_emulator: emulator_process.EmulatorStatus,
    state_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Outcome]:
    """A command on the run."""
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", memory_emulator.token)
    monkeypatch.setenv("DIGITALOCEAN_API_URL", memory_emulator.https)
    monkeypatch.setenv("WAVETANK_CA_FILE", str(memory_emulator.ca_file))
    monkeypatch.setenv("WAVETANK_OPERATORS", "198.51.100.7/32")
    return lambda command, *rest: wavetank(command, f"--state-dir={state_dir}", f"--run={RUN}", *rest)


@pytest.fixture
def widened(client: Any) -> Iterator[str]:
    """``internal-runner`` takes one port more from the client, for the length of a test; its name."""
    body = _body(_firewall(client, "internal-runner"))
    wide = json.loads(json.dumps(body))
    wide["inbound_rules"][0]["ports"] = "4000-4001"
    id_ = _firewall(client, "internal-runner")["id"]
    client.firewalls.update(id_, body=wide)
    yield body["name"]
    client.firewalls.update(id_, body=body)


@pytest.fixture
def opened(client: Any, widened: str) -> Iterator[str]:
    """The client may also send on that port: both gates are open; the name of the receiver's firewall."""
    firewall = _firewall(client, "public-client")
    wide = json.loads(json.dumps(_body(firewall)))
    wide["outbound_rules"][0]["ports"] = "4000-4001"
    client.firewalls.update(firewall["id"], body=wide)
    yield widened
    client.firewalls.update(firewall["id"], body=_body(firewall))


def test_drift_finds_nothing_on_a_fresh_run(call: Callable[..., Outcome]) -> None:
    """A run as ``up`` leaves it has not drifted, and nothing is changed by looking."""
    outcome = call("drift")
    assert (outcome.code, outcome.out.partition(":")[0]) == (0, "no drift")


def test_drift_names_the_rule_that_was_widened(call: Callable[..., Outcome], widened: str) -> None:
    """The rule that is there and the one that is not any more are both named."""
    outcome = call("drift", "-o", "json")
    found = json.loads(outcome.out)["drift"]
    assert outcome.code == 1
    assert {each["name"] for each in found} == {widened}
    assert [each["problem"] for each in found] == [
        "has a rule that the topology does not: inbound tcp 4000-4001 from client",
        "lacks a rule of the topology: inbound tcp 4000 from client",
    ]


def test_drift_finds_a_firewall_made_by_hand(call: Callable[..., Outcome], client: Any) -> None:
    """One that is not of the run but covers a droplet of it is named with what it allows."""
    id_ = next(each["id"] for each in client.droplets.list()["droplets"] if each["name"] == "runner")
    anywhere = {"addresses": ["0.0.0.0/0"]}
    rule = {"protocol": "tcp", "ports": "22", "sources": anywhere}
    made = client.firewalls.create(
        body={"name": "by-hand", "inbound_rules": [rule], "outbound_rules": [], "droplet_ids": [id_]}
    )["firewall"]
    try:
        outcome = call("drift")
    finally:
        client.firewalls.delete(made["id"])
    assert outcome.code == 1
    assert "by-hand" in outcome.out
    assert "covers runner; it allows inbound tcp 22 from 0.0.0.0/0" in outcome.out


def test_drift_finds_a_missing_firewall_and_an_emptied_database(
    call: Callable[..., Outcome], client: Any
) -> None:
    """What is gone is named; trusted sources that are gone leave a database open to everybody."""
    firewall = _firewall(client, "internal-lb")
    cluster = next(each for each in client.databases.list_clusters()["databases"] if each["engine"] == "pg")
    rules = client.databases.list_firewall_rules(cluster["id"])["rules"]
    client.firewalls.delete(firewall["id"])
    client.databases.update_firewall_rules(cluster["id"], body={"rules": []})
    try:
        outcome = call("drift")
    finally:
        client.firewalls.create(body=_body(firewall))
        kept = [{"type": each["type"], "value": each["value"]} for each in rules]
        client.databases.update_firewall_rules(cluster["id"], body={"rules": kept})
    assert outcome.code == 1
    assert f"firewall {firewall['name']}: is missing" in outcome.out
    assert "trusted sources postgres: there are none: the database is open to everybody" in outcome.out


def test_drift_finds_a_droplet_that_is_off(call: Callable[..., Outcome], client: Any) -> None:
    """A droplet that does not run is named with its status."""
    id_ = next(each["id"] for each in client.droplets.list()["droplets"] if each["name"] == "worker-1")
    _power(client, id_, "power_off")
    try:
        outcome = call("drift")
    finally:
        _power(client, id_, "power_on")
    assert outcome.code == 1
    assert "droplet worker-1: is off, not active" in outcome.out


def test_diff_without_packets_finds_nothing_on_a_fresh_run(call: Callable[..., Outcome]) -> None:
    """The standard topology's rules allow what it intends and no more, on every pair."""
    outcome = call("diff", "--no-observe")
    assert outcome.code == 0
    assert outcome.out.startswith("no difference: intended and computed, 170 pairs")


def test_diff_names_the_rule_and_how_to_see_it(call: Callable[..., Outcome], opened: str) -> None:
    """One rule that is too wide is one difference for each address, with a command to paste."""
    outcome = call("diff", "--no-observe", "-o", "json")
    found = json.loads(outcome.out)["differences"]
    assert outcome.code == 1
    told = [[each[key] for key in ("source", "target", "side", "protocol", "ports")] for each in found]
    assert told == [["client", "runner", side, "tcp", "4001"] for side in ("private", "public")]
    assert {(each["gate"], each["firewall"], each["rule"]) for each in found} == {
        ("in", opened, "tcp 4000-4001 from client")
    }
    assert found[0]["reproduce"].startswith(f"wavetank ssh --run {RUN} client -- timeout 3 bash -c")


def test_diff_compares_what_packets_did(
    call: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What got through though nobody meant it is a violation, whatever the rules say."""
    monkeypatch.setattr(Target, "require_machines", lambda *_: None)
    monkeypatch.setattr(
        prove, "prove", _played(ScanResult(Pair("client", "runner"), "tcp", open=((22, 23),)))
    )
    outcome = call("diff", "client", "runner")
    assert outcome.code == 1
    assert "client -> runner 23/tcp: intended denied, computed denied, observed admitted" in outcome.out
    assert f"wavetank ssh --run {RUN} client -- timeout 3 bash -c '</dev/tcp/" in outcome.out


def test_diff_tells_what_is_in_doubt(call: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports without a verdict are no differences, and no pass either."""
    doubtful = ScanResult(Pair("client", "runner"), "tcp", inconclusive=((1, 9),), doubts=("it went dark",))
    monkeypatch.setattr(Target, "require_machines", lambda *_: None)
    monkeypatch.setattr(prove, "prove", _played(doubtful))
    outcome = call("diff", "client", "runner")
    assert outcome.code == 2
    assert "inconclusive: client -> runner 1-9/tcp: it went dark" in outcome.out


def test_explain_walks_both_gates(call: Callable[..., Outcome]) -> None:
    """A flow that is meant: both rules that admit it, and the line that means it."""
    outcome = call("explain", "runner", "mongo", "27017/tcp", "-o", "json")
    told = json.loads(outcome.out)
    assert outcome.code == 0
    assert (told["intended"], told["computed"], told["observed"]) == ("admitted", "admitted", "not observed")
    assert [each["gate"] for each in told["steps"]] == ["route", "out", "in"]
    assert told["steps"][1]["firewall"] == resource_name(RUN, "internal-runner")
    assert told["steps"][2]["reason"] == "mongo trusts runner"
    assert "standard.yaml: intent)" in told["meant"][0]


def test_explain_says_which_gate_stops_it(call: Callable[..., Outcome]) -> None:
    """A flow that is not meant and does not pass: no difference, so exit 0."""
    outcome = call("explain", "stranger", "postgres", "25060")
    assert outcome.code == 0
    assert "STOP  postgres trusts only server-1, server-2, worker-1, worker-2" in outcome.out
    assert "no: no line of the intent allows it" in outcome.out


def test_explain_knows_the_operators(call: Callable[..., Outcome]) -> None:
    """Who may log in comes by the public address, and management means it."""
    outcome = call("explain", "operators", "client", "22")
    assert outcome.code == 0
    assert "operators -> client 22/tcp" in outcome.out
    assert "standard.yaml: management)" in outcome.out


def test_explain_of_a_difference_exits_1(call: Callable[..., Outcome], opened: str) -> None:
    """The rule that lets pass what nobody means is named, with a command that shows it."""
    outcome = call("explain", "client", "runner", "4001")
    assert outcome.code == 1
    assert f"DIFFERENCE       it is not intended to pass; but {opened} has" in outcome.out
    assert "/4001'" in outcome.out


def test_a_gate_that_is_open_behind_a_shut_one_is_no_difference(
    call: Callable[..., Outcome], widened: str
) -> None:
    """The sender's gate still stops it; that the receiver's has drifted is told by ``drift``."""
    outcome = call("explain", "client", "runner", "4001")
    assert outcome.code == 0
    assert f"pass  {widened} has" in outcome.out
    assert "STOP" in outcome.out


def test_explain_sends_one_probe_and_reads_the_counters(
    call: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One port of one pair is asked; its verdict and what was counted meanwhile are told."""
    asked = []

    def observe(
        _target: object, _deployment: object, _access: object, pairs: Any, **named: Any
    ) -> Observation:
        asked.append((pairs, named["tcp"], named["udp"], named["icmp"]))
        return Observation(
            (ScanResult(pairs[0], "tcp", open=((4002, 4002),), probes=1),), 1, ("prober",), 0.1, 1
        )

    row = {"source_ip": "x", "target_ip": "y", "protocol": "tcp", "gate": "in", "packets": 1}
    counters = iter([{}, {"flows": [row]}])
    monkeypatch.setattr(explain, "observe", observe)
    monkeypatch.setattr(explain, "open_access", lambda *_: None)
    monkeypatch.setattr(explain, "_counters", lambda _: next(counters))
    outcome = call("explain", "client", "runner", "4002", "--probe")
    assert asked == [([Pair("client", "runner")], ((4002, 4002),), (), False)]
    assert outcome.code == 1
    assert "observed         open" in outcome.out
    assert "counted          +1 dropped by ingress rules: x -> y tcp" in outcome.out
    assert "but packets get through" in outcome.out


@pytest.mark.parametrize("arguments", [("--no-observe",), ("--no-observe", "-o", "json")])
def test_diff_is_red_where_the_network_was_changed_by_hand(
    call: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Although the views agree: exit 1, with the foreign rule's own text."""
    found = Tampering("table inet wavetank, chain forward", "has a foreign line", "tcp dport 7777 accept")
    monkeypatch.setattr(tampering, "inspect", lambda _: (found,))
    outcome = call("diff", *arguments)
    assert outcome.code == 1
    assert "tcp dport 7777 accept" in outcome.out
    assert "no difference:" not in outcome.out


def test_explain_says_why_no_probe_is_sent(call: Callable[..., Outcome]) -> None:
    """Where there is no way to send one, nothing is sent."""
    outcome = call("explain", "operators", "client", "22", "--probe")
    assert outcome.code == 0
    assert "not observed (nothing is sent as operators" in outcome.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cleint", "runner", "22"), "did you mean 'client'?"),
        (("client", "nowhere", "22"), "known here: client, runner"),
        (("client", "runner", "ssh"), "write it as 22, 22/tcp, 53/udp or icmp"),
        (("client", "runner", "22/sctp"), "write it as 22, 22/tcp, 53/udp or icmp"),
        (("client", "runner", "70000"), "ports go from 1 to 65535"),
        (("client", "client", "22"), "to itself passes no firewall"),
        (("client", "operators", "22"), "operators only log in"),
    ],
)
def test_explain_refuses_what_it_does_not_know(
    call: Callable[..., Outcome], words: tuple[str, ...], said: str
) -> None:
    """An unknown end or port is an error that says what is known."""
    outcome = call("explain", *words)
    assert outcome.code == 4
    assert said in outcome.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("runner",), "give both FROM and TO"),
        (("runner", "postgers"), "did you mean 'postgres'?"),
        (("postgres", "runner"), "it opens no connections itself"),
        (("operators", "client"), "operators cannot be an end of a scan"),
        (("client", "client"), "to itself passes no firewall"),
    ],
)
def test_diff_refuses_what_it_does_not_know(
    call: Callable[..., Outcome], words: tuple[str, ...], said: str
) -> None:
    """An unknown or impossible pair is an error before anything is sent."""
    outcome = call("diff", *words)
    assert outcome.code == 4
    assert said in outcome.err


@pytest.mark.parametrize("command", [("diff",), ("drift",), ("explain", "client", "runner", "22")])
def test_a_run_that_is_not_up_is_refused(call: Callable[..., Outcome], command: tuple[str, ...]) -> None:
    """Nothing is compared with nothing."""
    outcome = call(*command, "--run=nothere", "--target=do")
    assert outcome.code == 4
    assert "is not up" in outcome.err


def test_counters_are_reported_by_what_they_gained() -> None:
    """Only what grew is told, by the names of the topology."""
    before = {"flows": [{"source_ip": "a", "target_ip": "b", "protocol": "tcp", "gate": "in", "packets": 2}]}
    after = {
        "flows": [{"source_ip": "a", "target_ip": "b", "protocol": "tcp", "gate": "in", "packets": 4}],
        "counters": [
            {"ref": "droplet:1", "gate": "out", "verdict": "accept", "firewall": "w", "packets": 1},
            {"ref": "droplet:2", "gate": "out", "verdict": "accept", "firewall": "w", "packets": 0},
        ],
    }
    assert explain.counted(before, after, {"a": "client", "droplet:1": "client"}) == (
        "+2 dropped by ingress rules: client -> b tcp",
        "+1 accept at client, egress rules: w",
    )


def _played(seen: ScanResult) -> Callable[..., Proof]:
    def prove_(target: Target, topology: Topology, *_: object, **named: Any) -> Proof:
        from harness.target.api import Api

        with Api(target, read_only=True) as api:
            network = inspect(api, topology, RUN)
        observation = Observation((seen,), 2, ("prober",), 0.1, seen.probes)
        return Proof(network, (seen.pair,), observation, _differences(topology, network, observation))

    return prove_


def _differences(*given: Any) -> Any:
    from harness.isolation.compare import differences

    return differences(*given)


def _client(target: Target) -> Any:
    return pydo.Client(target.token, endpoint=target.endpoint, connection_verify=str(target.ca_file))


def _firewall(client: Any, name: str) -> dict[str, Any]:
    found = client.firewalls.list(per_page=200)["firewalls"]
    return next(each for each in found if each["name"] == resource_name(RUN, name))


def _body(firewall: dict[str, Any]) -> dict[str, Any]:
    kept = ("name", "inbound_rules", "outbound_rules", "droplet_ids", "tags")
    return {key: firewall[key] or [] for key in kept}


def _power(client: Any, id_: int, type_: str) -> None:
    from harness.core.wait import NotYet, wait_for

    action = client.droplet_actions.post(id_, body={"type": type_})["action"]

    def probe() -> None:
        if client.actions.get(action["id"])["action"]["status"] != "completed":
            raise NotYet(type_)

    wait_for(type_, probe, deadline=30)

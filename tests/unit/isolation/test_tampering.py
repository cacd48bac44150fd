"""A network that was changed by hand is looked at as it is found, and is never green."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

import emulator
from harness.core.names import STRANGER
from harness.core.progress import Progress
from harness.firewall.model import Pair
from harness.isolation import prove
from harness.isolation.counted import tampering
from harness.isolation.counted.tampering import Tampering, describe
from harness.isolation.model import Observation, ScanResult
from harness.isolation.section import section
from harness.provision import observe, provision
from harness.run.rundir import RunDir
from harness.run.settings import PROJECT
from harness.target.target import Target
from harness.topology import load
from harness.topology.deployment import Deployment
from harness.topology.model import INTERNET

FOREIGN = Tampering("table inet wavetank, chain forward", "has a foreign line", "tcp dport 7777 accept")
TOPOLOGY = load(PROJECT / "topologies" / "standard.yaml")
TARGET = Target("do", "https://api.digitalocean.com", "t", operators=("198.51.100.7/32",))
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQpUDzq3G8P1Yt2h1Ff5iXz8Mfnr5DHyVFTc8HWGFpk x"


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    """The standard plan on a played cloud."""
    with emulator.mock():
        provision(TARGET, TOPOLOGY, "a", public_key=KEY, progress=Progress(quiet=True))
        yield observe(TARGET, TOPOLOGY, "a")


class Scan:
    """What was done, in order; ``snapshots`` is what the emulator tells, look by look."""

    def __init__(self, snapshots: Sequence[tuple[Tampering, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
        self.did: list[str] = []
        self.pairs: Sequence[Pair] = ()
        self._looks = list(snapshots)
        monkeypatch.setattr(tampering, "inspect", self.inspect)
        monkeypatch.setattr(prove, "outsider", self.outsider)
        monkeypatch.setattr(prove, "observe", self.observe)
        monkeypatch.setattr(prove, "open_access", lambda *_: None)
        monkeypatch.setattr(prove, "has_packet_counters", lambda _: True)

    def inspect(self, _target: Target) -> tuple[Tampering, ...]:
        self.did.append("inspect")
        return self._looks.pop(0)

    @contextmanager
    def outsider(self, _target: Target, _topology: object, deployment: Deployment) -> Iterator[Deployment]:
        self.did.append("outsider")
        node = next(iter(deployment.nodes.values()))
        yield Deployment(
            deployment.run,
            deployment.vpc_id,
            deployment.vpc_range,
            {**deployment.nodes, STRANGER: node},
            deployment.databases,
        )

    def observe(
        self, _target: object, _deployment: object, _access: object, pairs: Any, **_: Any
    ) -> Observation:
        self.did.append("packets")
        self.pairs = pairs
        return Observation(tuple(ScanResult(each, "tcp") for each in pairs), 2, ("prober", "fabric"), 0.1, 1)

    def prove(self, deployment: Deployment, run_dir: RunDir, **options: Any) -> prove.Proof:
        return prove.prove(TARGET, TOPOLOGY, deployment, run_dir, **options)


def test_a_changed_network_is_scanned_as_it_is_found(
    deployment: Deployment, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulator is asked first; a stranger, whose making applies the rules anew, is left out."""
    scan = Scan([(FOREIGN,), (FOREIGN,)], monkeypatch)
    proof = scan.prove(deployment, RunDir(tmp_path, "a"))
    assert scan.did == ["inspect", "packets", "inspect"]
    assert all(STRANGER not in (each.source, each.target) for each in scan.pairs)
    assert proof.tampered == (FOREIGN,)
    assert proof.observation.partial


def test_what_was_changed_meanwhile_is_told(
    deployment: Deployment, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked again at the end, when the stranger's making may have put it right."""
    scan = Scan([(), (FOREIGN,)], monkeypatch)
    proof = scan.prove(deployment, RunDir(tmp_path, "a"))
    assert scan.did == ["inspect", "outsider", "packets", "inspect"]
    assert proof.tampered == (FOREIGN,)
    made = section(TOPOLOGY, proof.network, proof.observation, (), proof.tampered)
    assert made["tampering"] == [str(FOREIGN)]
    assert "cannot be trusted" in made["partial"]


def test_a_sound_network_is_asked_with_a_stranger(
    deployment: Deployment, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nothing is in doubt."""
    scan = Scan([(), ()], monkeypatch)
    proof = scan.prove(deployment, RunDir(tmp_path, "a"))
    assert (proof.tampered, proof.observation.partial) == ((), "")
    assert any(STRANGER in (each.source, each.target) for each in scan.pairs)


@pytest.mark.parametrize(("source", "beside"), [(INTERNET, False), (STRANGER, True), ("runner", True)])
def test_an_outsider_is_made_only_for_pairs_with_one(
    deployment: Deployment, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, source: str, beside: bool
) -> None:
    """It takes a droplet, which has to boot."""
    scan = Scan([(), ()], monkeypatch)
    scan.prove(deployment, RunDir(tmp_path, "a"), choose=lambda pair: pair.source == source)
    assert ("outsider" in scan.did) is beside
    assert {each.source for each in scan.pairs} == {source}


def test_a_cloud_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no such path."""

    def never(*_: object) -> NoReturn:
        raise AssertionError

    monkeypatch.setattr(tampering, "EmulatorApi", never)
    assert tampering.inspect(TARGET) == tampering.restore(TARGET) == ()


def test_the_words_name_the_rule_and_the_remedy() -> None:
    """Whose fault it is, the foreign rule's own text, and what puts it right."""
    words = describe([FOREIGN])
    assert "which no application can do" in words
    assert "tcp dport 7777 accept" in words
    assert "wavetank up" in words
    assert describe([]) == ""

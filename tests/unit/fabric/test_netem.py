"""What tc is told, so that links delay and lose packets, or are perfect again."""

from __future__ import annotations

import json

import pytest
from wt_fabric import netem, wiring

from emulator.docker.fabric.links import Machine, droplet_machine
from emulator.planes.base import Address, DropletSpec, Quality

PERFECT = {"delay_ms": 0.0, "jitter_ms": 0.0, "loss_percent": 0.0}
SLOW = {"delay_ms": 20.0, "jitter_ms": 5.5, "loss_percent": 0.1}
THERE = [
    {"kind": "noqueue", "dev": "d1e0", "root": True},
    {"kind": "netem", "dev": "d1e1", "root": True},
    {"kind": "netem", "dev": "d2e0", "root": True},
    {"kind": "fq_codel", "dev": "d1e1", "parent": "1:"},
]


def test_links_that_are_there_are_shaped() -> None:
    """Those of a droplet without power are not there; other droplets' stay as they are."""
    words = "netem limit 100000 delay 20.000ms 5.500ms loss random 0.1000%"
    assert netem.commands({"d1e0", "d1e1", "d9e0"}, SLOW, THERE) == [
        f"qdisc replace dev d1e0 root {words}",
        f"qdisc replace dev d1e1 root {words}",
    ]


def test_a_perfect_link_loses_only_what_made_it_worse() -> None:
    """``tc`` fails where there is nothing to delete."""
    assert netem.commands({"d1e0", "d1e1"}, PERFECT, THERE) == ["qdisc del dev d1e1 root"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"delay_ms": 20.0}, "netem limit 100000 delay 20.000ms 0.000ms"),
        ({"loss_percent": 100.0}, "netem limit 100000 loss random 100.0000%"),
    ],
)
def test_only_what_is_asked_for_is_told(changed: dict[str, float], words: str) -> None:
    """Delay alone, loss alone."""
    assert netem.netem({**PERFECT, **changed}) == words


def test_all_of_it_is_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """And none where there is nothing to do."""
    calls = []

    def run(*argv: str, stdin: str = "") -> str:
        calls.append((argv, stdin))
        return json.dumps(THERE)

    monkeypatch.setattr(netem, "run", run)
    netem.shape(["d1e1", "d2e0"], PERFECT)
    assert calls[1:] == [(("tc", "-batch", "-"), "qdisc del dev d1e1 root\nqdisc del dev d2e0 root\n")]
    netem.shape(["d1e0"], PERFECT)
    assert len(calls) == 3


@pytest.mark.parametrize(("quality", "shaped"), [(SLOW, ["d7e0"]), (PERFECT, [])])
def test_a_link_is_shaped_before_a_packet_passes(
    monkeypatch: pytest.MonkeyPatch, quality: dict[str, float], shaped: list[str]
) -> None:
    """Between the fabric's end and the machine's, which comes up last; a new link is perfect as it is."""
    done: list[str] = []
    monkeypatch.setattr(wiring, "_check_identity", lambda *_: None)
    monkeypatch.setattr(wiring, "unwire", lambda *_: None)
    monkeypatch.setattr(wiring, "disable_proxy_delay", lambda _name: None)
    monkeypatch.setattr(
        wiring, "ip_batch", lambda _lines, inside=(): done.append("inside" if inside else "outside")
    )
    monkeypatch.setattr(netem, "shape", lambda names, _quality: done.extend(names))
    link = {"name": "d7e0", "device": "eth0", "mac": "02:00:00:00:00:01", "ip": "203.0.113.9", "prefix": 24}
    wiring.wire(1, "c", [{**link, "gateway": "203.0.113.1", "network": "", "default": True}], quality)
    assert done == ["outside", *shaped, "inside"]


def test_a_machine_on_record_keeps_the_quality_of_its_links() -> None:
    """So that a fabric that is made anew wires it as it was; an older record has none."""
    private = Address("10.1.0.10", 20, "10.1.0.1")
    spec = DropletSpec(
        7, "web", "ubuntu", 2, 512, "v", "10.1.0.0/20", None, private, (), "", {}, Quality(20, 5.5, 0.1)
    )
    machine = droplet_machine(spec)
    written = json.loads(json.dumps(machine.to_json()))
    assert Machine.from_json(written).quality == machine.quality == spec.quality
    del written["quality"]
    assert Machine.from_json(written).quality == Quality()

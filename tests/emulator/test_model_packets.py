"""Random histories of API calls; after each call, packets fare as the API's own words compute.

``WAVETANK_MODEL_EXAMPLES`` and ``WAVETANK_MODEL_STEPS`` make it a longer run. A failing history is printed
with its API calls, and is the same history the next time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model_rig import CANARY, Rig, rig
from model_view import expected, flows, network, tags_of

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

EXAMPLES = int(os.environ.get("WAVETANK_MODEL_EXAMPLES", "12"))
STEPS = int(os.environ.get("WAVETANK_MODEL_STEPS", "20"))
FLOWS = 120
MOST_POWER = 3
DROPLETS = ("one", "two", "three")
TAGS = ("red", "Blue")
NAMES = ("w1", "w2", "w3")

# Below 20000 and above 60000: source ports lie between.
SINGLE = st.sampled_from((1, 22, 53, 80, 8000, 25061, 65535)).map(str)
RANGES = st.sampled_from(((1, 21), (22, 23), (79, 81), (8000, 9000), (25060, 25061), (60001, 65535)))
PORTS = st.one_of(SINGLE, RANGES.map(lambda ends: f"{ends[0]}-{ends[1]}"), st.just("all"))
ADDRESSES = ("0.0.0.0/0", "::/0", "203.0.113.0/24", "192.0.2.10", "198.51.100.0/24", "10.0.0.0/8")


@st.composite
def peers(draw: st.DrawFn) -> dict[str, list[str]]:
    """Peers: addresses (``@`` a machine's private one, ``#`` its public one), droplets by name, tags."""
    own = [f"{mark}{name}" for mark in "@#" for name in (*DROPLETS, "store")]
    found = {
        "addresses": draw(st.lists(st.sampled_from((*ADDRESSES, *own)), max_size=2, unique=True)),
        "droplets": draw(st.lists(st.sampled_from(DROPLETS), max_size=2, unique=True)),
        "tags": draw(st.lists(st.sampled_from(TAGS), max_size=1, unique=True)),
    }
    return found if any(found.values()) else {**found, "addresses": ["0.0.0.0/0"]}


RULE = st.tuples(st.sampled_from(("tcp", "udp", "icmp")), PORTS, peers())
RULES = st.lists(RULE, max_size=3)
SUBSET = st.lists(st.sampled_from(DROPLETS), max_size=2, unique=True)
SOME_TAGS = st.lists(st.sampled_from(TAGS), max_size=1, unique=True)
WHICH = st.integers(0, len(NAMES) - 1)
SOURCES = st.lists(
    st.one_of(
        st.tuples(st.just("droplet"), st.sampled_from(DROPLETS)),
        st.tuples(st.just("tag"), st.sampled_from(TAGS)),
        st.tuples(st.just("ip_addr"), st.sampled_from(("192.0.2.0/24", "@one", "#two", "@three"))),
    ),
    max_size=2,
    unique=True,
)


class Histories(RuleBasedStateMachine):
    """One history, on a rig that is swept clean before it."""

    tank: Rig

    def __init__(self) -> None:
        super().__init__()
        self.tank.clear()
        for name in DROPLETS:
            if self._status(name) == "off":
                self._on(name)
        self.tank.calls.clear()
        self.ids: dict[str, str] = {}
        self.power = MOST_POWER
        self.step = 0
        for tag in TAGS:
            self.tank.call("POST", "tags", {"name": tag})

    @rule(name=st.sampled_from(NAMES), inbound=RULES, outbound=RULES, droplets=SUBSET, tags=SOME_TAGS)
    def put_firewall(self, name: str, **form: Any) -> None:
        """A firewall is made, or gets a whole new form."""
        body = self._form(name, **form)
        if name in self.ids:
            self.tank.call("PUT", f"firewalls/{self.ids[name]}", body)
        else:
            self.ids[name] = self.tank.call("POST", "firewalls", body)["firewall"]["id"]

    @precondition(lambda self: self.ids)
    @rule(which=WHICH)
    def delete_firewall(self, which: int) -> None:
        """A firewall goes."""
        name = sorted(self.ids)[which % len(self.ids)]
        self.tank.call("DELETE", f"firewalls/{self.ids.pop(name)}")

    @precondition(lambda self: self.ids)
    @rule(which=WHICH, inbound=st.lists(RULE, min_size=1, max_size=2), outbound=RULES)
    def add_rules(self, which: int, inbound: list[Any], outbound: list[Any]) -> None:
        """A firewall gets more rules."""
        self.tank.call("POST", f"{self._firewall(which)}/rules", self._rules(inbound, outbound))

    @precondition(lambda self: self.ids)
    @rule(which=WHICH, side=st.sampled_from(("inbound_rules", "outbound_rules")), place=st.integers(0, 5))
    def remove_rule(self, which: int, side: str, place: int) -> None:
        """A firewall loses one rule of several."""
        path = self._firewall(which)
        shown = self.tank.call("GET", path)["firewall"]
        if len(shown["inbound_rules"]) + len(shown["outbound_rules"]) > 1 and shown[side]:
            gone = shown[side][place % len(shown[side])]
            self.tank.call("DELETE", f"{path}/rules", {side: [gone]})

    @precondition(lambda self: self.ids)
    @rule(which=WHICH, name=st.sampled_from(DROPLETS), method=st.sampled_from(("POST", "DELETE")))
    def move_droplet(self, which: int, name: str, method: str) -> None:
        """A droplet is put under a firewall, or taken from it."""
        body = {"droplet_ids": [int(self.tank.machines[name].number)]}
        self.tank.call(method, f"{self._firewall(which)}/droplets", body)

    @precondition(lambda self: self.ids)
    @rule(which=WHICH, tag=st.sampled_from(TAGS), method=st.sampled_from(("POST", "DELETE")))
    def move_firewalls_tag(self, which: int, tag: str, method: str) -> None:
        """A firewall covers whoever has a tag, or no longer."""
        self.tank.call(method, f"{self._firewall(which)}/tags", {"tags": [tag]})

    @rule(tag=st.sampled_from(TAGS), names=SUBSET, method=st.sampled_from(("POST", "DELETE")))
    def move_tag(self, tag: str, names: list[str], method: str) -> None:
        """Droplets get a tag (in other letters), or lose it."""
        ids = [{"resource_type": "droplet", "resource_id": self.tank.machines[name].number} for name in names]
        self.tank.call(method, f"tags/{tag.upper()}/resources", {"resources": ids})

    @rule(tag=st.sampled_from(TAGS))
    def renew_tag(self, tag: str) -> None:
        """A tag is deleted, and made again for nobody."""
        self.tank.call("DELETE", f"tags/{tag}")
        self.tank.call("POST", "tags", {"name": tag})

    @rule(sources=SOURCES)
    def trust(self, sources: list[tuple[str, str]]) -> None:
        """The database gets other trusted sources, or none."""
        rules = [{"type": kind, "value": self._value(kind, value)} for kind, value in sources]
        self.tank.call("PUT", f"databases/{self.tank.machines['store'].number}/firewall", {"rules": rules})

    @precondition(lambda self: self.power)
    @rule(name=st.sampled_from(DROPLETS))
    def toggle_power(self, name: str) -> None:
        """A droplet goes off, or on."""
        self.power -= 1
        if self._status(name) == "off":
            self._on(name)
        else:
            self.tank.leave(name)
            self.tank.act(name, "power_off")

    @invariant()
    def packets_fare_as_computed(self) -> None:
        """Computed equals observed, at the edges of the rules."""
        self.step += 1
        self.tank.in_force()
        sample = flows(self.tank, network(self.tank), FLOWS, Random(self.step))
        seen = self.tank.verdicts([flow.shape(self.tank) for flow in sample])
        wrong = [
            f"{flow}: {verdict}, should be {expected(self.tank, flow)}"
            for flow, verdict in zip(sample, seen, strict=True)
            if verdict != expected(self.tank, flow)
        ]
        if wrong:
            note("\n".join(call for call in self.tank.calls if CANARY not in call))
        assert not wrong, "\n".join(wrong[:10])

    def _firewall(self, which: int) -> str:
        return f"firewalls/{self.ids[sorted(self.ids)[which % len(self.ids)]]}"

    def _form(self, name: str, **form: Any) -> dict[str, Any]:
        inbound, outbound = form["inbound"], form["outbound"]
        if not inbound and not outbound:
            inbound = [("icmp", "", {"addresses": ["0.0.0.0/0"], "droplets": [], "tags": []})]
        ids = [int(self.tank.machines[one].number) for one in form["droplets"]]
        return {"name": name, "droplet_ids": ids, "tags": form["tags"], **self._rules(inbound, outbound)}

    def _rules(self, inbound: list[Any], outbound: list[Any]) -> dict[str, Any]:
        return {
            "inbound_rules": [self._rule(each, "sources") for each in inbound],
            "outbound_rules": [self._rule(each, "destinations") for each in outbound],
        }

    def _rule(self, each: tuple[str, str, dict[str, list[str]]], side: str) -> dict[str, Any]:
        protocol, wanted, named = each
        resolved = {
            "addresses": [self._value("ip_addr", value) for value in named["addresses"]],
            "droplet_ids": [int(self.tank.machines[name].number) for name in named["droplets"]],
            "tags": named["tags"],
        }
        ports = {} if protocol == "icmp" else {"ports": wanted}
        return {
            "protocol": protocol,
            **ports,
            side: {kind: values for kind, values in resolved.items() if values},
        }

    def _value(self, kind: str, value: str) -> str:
        if kind == "droplet":
            return self.tank.machines[value].number
        machine = self.tank.machines.get(value[1:]) if value[0] in "@#" else None
        return value if machine is None else machine.private if value[0] == "@" else machine.public

    def _status(self, name: str) -> str:
        return str(self.tank.call("GET", f"droplets/{self.tank.machines[name].number}")["droplet"]["status"])

    def _on(self, name: str) -> None:
        self.tank.act(name, "power_on")
        self.tank.enter(name)


@pytest.fixture(scope="module")
def tank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Three droplets that are nodes of a run, and a database."""
    with rig(tmp_path_factory.mktemp("model") / "tank", []) as made:
        for name in DROPLETS:
            made.add(name, tags=tags_of(name))
        made.add_database("store", tags=tags_of("store")[:1])
        yield made


def test_computed_equals_observed(tank: Rig) -> None:
    """After every call of every history, on both sides of every pair."""

    class Here(Histories):
        pass

    Here.tank = tank
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate, Phase.shrink) if "CI" not in os.environ else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )

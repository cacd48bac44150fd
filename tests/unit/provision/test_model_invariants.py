"""Random histories of API calls on a plane where nothing runs: what always holds of the control plane.

``WAVETANK_MODEL_EXAMPLES`` and ``WAVETANK_MODEL_STEPS`` make it a longer run.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model_account import Account

EXAMPLES = int(os.environ.get("WAVETANK_MODEL_EXAMPLES", "220"))
STEPS = int(os.environ.get("WAVETANK_MODEL_STEPS", "25"))
TAGS = ("red", "Blue", "GREEN")
WALLS = ("w1", "w2", "w3")
ACTIONS = ("power_on", "power_off", "shutdown", "reboot", "power_cycle", "rename", "rebuild", "resize")
PLACE = st.integers(0, 11)
TAG = st.sampled_from(TAGS)
SOME_TAGS = st.lists(TAG, max_size=2, unique=True)
PEERS = st.one_of(
    st.builds(lambda address: {"addresses": [address]}, st.sampled_from(("0.0.0.0/0", "::/0", "10.0.0.0/8"))),
    st.builds(lambda places: {"droplets": places}, st.lists(PLACE, min_size=1, max_size=3)),
    st.builds(lambda tags: {"tags": tags}, st.lists(TAG, min_size=1, max_size=2, unique=True)),
)
PORTS = st.sampled_from(("22", "80", "8000-9000", "all", "1-65535"))
RULE = st.tuples(st.sampled_from(("tcp", "udp", "icmp")), PORTS, PEERS)
RULES = st.lists(RULE, max_size=3)
FAULTS = st.sampled_from(("apply", "droplet:d1", "droplet:d2", "destroy"))


class Histories(RuleBasedStateMachine):
    """One account's history, which is looked at after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.account = Account(Path(self.folder.name))
        for tag in TAGS:
            self.account.call("POST", "tags", {"name": tag})
        self.account.make_droplets(["d1", "d2", "d3"], TAGS[:1])

    def teardown(self) -> None:
        """However it went: reopened, the account is the same, and everything that was begun can be ended."""
        self.account.reopen()
        self.account.lift_faults()
        self.account.finish()
        self.account.check()
        self.account.check_settled()
        self.account.close()
        self.folder.cleanup()

    @rule(names=st.lists(st.sampled_from(("d1", "d2", "d3")), min_size=1, max_size=4), tags=SOME_TAGS)
    def make_droplets(self, names: list[str], tags: list[str]) -> None:
        """Some of one name; there may be too many."""
        self.account.make_droplets(names, tags)

    @rule(place=PLACE)
    def destroy_droplet(self, place: int) -> None:
        """One of those that are there."""
        self.account.on_droplet(place, lambda one: self.account.call("DELETE", f"droplets/{one}"))

    @rule(tag=TAG)
    def destroy_tagged(self, tag: str) -> None:
        """All that carry a tag."""
        self.account.call("DELETE", f"droplets?tag_name={tag}")

    @rule(place=PLACE, type_=st.sampled_from(ACTIONS))
    def act(self, place: int, type_: str) -> None:
        """An action, possible or not."""
        body = {"type": type_, "name": "renamed", "size": "s-2vcpu-4gb", "disk": True}
        self.account.on_droplet(place, lambda one: self.account.call("POST", f"droplets/{one}/actions", body))

    @rule(
        name=st.sampled_from(WALLS),
        inbound=RULES,
        outbound=RULES,
        places=st.lists(PLACE, max_size=12),
        tags=SOME_TAGS,
    )
    def put_firewall(self, name: str, **form: Any) -> None:
        """A firewall is made or replaced, within the limits or beyond."""
        self.account.put_firewall(name, **form)

    @rule(name=st.sampled_from(WALLS))
    def delete_firewall(self, name: str) -> None:
        """One of those that may be there."""
        self._on_wall(name, lambda path: self.account.call("DELETE", path))

    @rule(
        name=st.sampled_from(WALLS),
        places=st.lists(PLACE, max_size=12),
        method=st.sampled_from(("POST", "DELETE")),
    )
    def move_droplets(self, name: str, places: list[int], method: str) -> None:
        """Droplets under a firewall, or from under it."""
        body = {"droplet_ids": self.account.ids(places)}
        self._on_wall(name, lambda path: self.account.call(method, f"{path}/droplets", body))

    @rule(name=st.sampled_from(WALLS), tags=SOME_TAGS, method=st.sampled_from(("POST", "DELETE")))
    def move_tags(self, name: str, tags: list[str], method: str) -> None:
        """Tags that a firewall covers."""
        self._on_wall(name, lambda path: self.account.call(method, f"{path}/tags", {"tags": tags}))

    @rule(name=st.sampled_from(WALLS), inbound=RULES, copies=st.sampled_from((1, 20)))
    def add_rules(self, name: str, inbound: list[Any], copies: int) -> None:
        """A few more rules, or more than there may be."""
        self._on_wall(name, lambda path: self.account.add_rules(path, inbound, copies))

    @rule(name=st.sampled_from(WALLS), place=PLACE)
    def remove_rule(self, name: str, place: int) -> None:
        """A rule as it is shown can be removed as it is shown."""
        self._on_wall(name, lambda path: self.account.remove_rule(path, place))

    @rule(name=st.sampled_from(WALLS))
    def put_back(self, name: str) -> None:
        """A firewall as it is shown can be put back as it is shown."""
        self._on_wall(name, self.account.put_back)

    @rule(tag=TAG, places=st.lists(PLACE, min_size=1, max_size=3), method=st.sampled_from(("POST", "DELETE")))
    def move_tag(self, tag: str, places: list[int], method: str) -> None:
        """A tag given or taken, in whatever letters."""
        self.account.move_tag(tag.swapcase(), places, method)

    @rule(tag=TAG, method=st.sampled_from(("POST", "DELETE")))
    def make_or_delete_tag(self, tag: str, method: str) -> None:
        """A tag comes or goes."""
        if method == "POST":
            self.account.call("POST", "tags", {"name": tag})
        else:
            self.account.call("DELETE", f"tags/{tag}")

    @precondition(lambda self: self.account.databases_made < 2)
    @rule(tags=SOME_TAGS)
    def make_database(self, tags: list[str]) -> None:
        """A cluster."""
        self.account.make_database(tags)

    @rule(tags=SOME_TAGS, places=st.lists(PLACE, max_size=2), address=st.booleans())
    def trust(self, tags: list[str], places: list[int], address: bool) -> None:
        """Other trusted sources."""
        self.account.trust(tags, places, address=address)

    @rule(count=st.integers(1, 4))
    def advance(self, count: int) -> None:
        """Some of the work that waits is done."""
        self.account.advance(count)

    @rule(fault=FAULTS)
    def break_plane(self, fault: str) -> None:
        """Something of the plane fails from here on."""
        self.account.break_plane(fault)

    @rule()
    def mend_plane(self) -> None:
        """Nothing fails any more."""
        self.account.lift_faults()

    @rule()
    def reopen(self) -> None:
        """The server dies and comes back: its answers are the same."""
        self.account.reopen()

    @invariant()
    def everything_holds(self) -> None:
        """See ``Account.check``."""
        self.account.check()

    def _on_wall(self, name: str, change: Callable[[str], object]) -> None:
        path = self.account.wall(name)
        if path:
            change(path)


def test_what_always_holds() -> None:
    """Over many histories, with faults of the plane and deaths of the server in between."""
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

"""``status`` and ``pending_changes`` tell the truth of every kind of change: held up, failed, and done."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from model_account import DROPLET, HEADERS

from emulator.api.app import Api
from emulator.api.http import make_request
from emulator.cloud.core import Cloud
from emulator.planes.base import NetworkPolicy, PlaneError
from emulator.planes.memory import MemoryPlane
from harness.core.wait import NotYet, wait_for

DEADLINE = 20.0
RULE = {"protocol": "tcp", "ports": "22", "sources": {"tags": ["friend"]}}
OTHER = {"protocol": "tcp", "ports": "80", "sources": {"addresses": ["0.0.0.0/0"]}}


class SlowPlane(MemoryPlane):
    """Applies nothing while ``open`` is not set, and then fails while ``fails`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.fails = threading.Event(), threading.Event()
        self.open.set()

    def apply(self, policy: NetworkPolicy) -> None:
        """Wait, fail or apply."""
        self.open.wait(DEADLINE)
        if self.fails.is_set():
            raise PlaneError("no nft today")
        super().apply(policy)


class Desk:
    """A cloud that works in threads, with droplets one and two (``friend``), a firewall on one by id."""

    def __init__(self) -> None:
        self.plane = SlowPlane()
        self.cloud = Cloud(None, self.plane)
        self.cloud.start()
        self.api = Api(self.cloud, any_token=True)
        made = [
            self.call("POST", "droplets", {**DROPLET, "name": name})["droplet"] for name in ("one", "two")
        ]
        self.one, self.two = (droplet["id"] for droplet in made)
        self.call("POST", "tags", {"name": "friend"})
        self.call("POST", "tags/friend/resources", self.tagged)
        self.form = {"name": "wall", "droplet_ids": [self.one], "inbound_rules": [RULE]}
        self.path = f"firewalls/{self.call('POST', 'firewalls', self.form)['firewall']['id']}"
        self.becomes("succeeded")

    @property
    def tagged(self) -> dict[str, Any]:
        """Two, as a tag's resource."""
        return {"resources": [{"resource_type": "droplet", "resource_id": str(self.two)}]}

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One request that must be well answered."""
        data = b"" if body is None else json.dumps(body).encode()
        answer = self.api.handle(
            make_request(method, f"https://api.digitalocean.com/v2/{path}", HEADERS, data)
        )
        assert answer.status < 300, answer.body
        return dict(answer.body or {})

    def told(self) -> tuple[str, list[tuple[int, bool, str]]]:
        """The firewall's status and pending changes."""
        shown = self.call("GET", self.path)["firewall"]
        changes = shown["pending_changes"]
        return shown["status"], [(one["droplet_id"], one["removing"], one["status"]) for one in changes]

    def becomes(self, status: str) -> list[tuple[int, bool, str]]:
        """The pending changes once the status is this."""

        def probe() -> list[tuple[int, bool, str]]:
            now, pending = self.told()
            if now != status:
                raise NotYet(now)
            return pending

        return wait_for(f"the firewall to be {status}", probe, deadline=DEADLINE, first_pause=0.01)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk at which nothing is pending, and what failed is soon tried again."""
    monkeypatch.setattr("emulator.cloud.network.RETRY_SECONDS", 0.02)
    made = Desk()
    yield made
    made.plane.open.set()
    made.cloud.close()


Change = Callable[[Desk], object]
CHANGES: dict[str, tuple[Change, Callable[[Desk], list[tuple[int, bool]]]]] = {
    "new rules": (
        lambda desk: desk.call("PUT", desk.path, {**desk.form, "inbound_rules": [OTHER]}),
        lambda desk: [(desk.one, False)],
    ),
    "a rule more": (
        lambda desk: desk.call("POST", f"{desk.path}/rules", {"inbound_rules": [OTHER]}),
        lambda desk: [(desk.one, False)],
    ),
    "a droplet more": (
        lambda desk: desk.call("POST", f"{desk.path}/droplets", {"droplet_ids": [desk.two]}),
        lambda desk: [(desk.two, False)],
    ),
    "a droplet less": (
        lambda desk: desk.call("DELETE", f"{desk.path}/droplets", {"droplet_ids": [desk.one]}),
        lambda desk: [(desk.one, True)],
    ),
    "covered by a tag": (
        lambda desk: desk.call("POST", f"{desk.path}/tags", {"tags": ["friend"]}),
        lambda desk: [(desk.two, False)],
    ),
    "a peer less": (
        lambda desk: desk.call("DELETE", "tags/friend/resources", desk.tagged),
        lambda desk: [(desk.one, False)],
    ),
    "a peer's tag deleted": (
        lambda desk: desk.call("DELETE", "tags/friend"),
        lambda desk: [(desk.one, False)],
    ),
    "a peer destroyed": (
        lambda desk: desk.call("DELETE", f"droplets/{desk.two}"),
        lambda desk: [(desk.one, False)],
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_is_pending_until_it_is_in_force(desk: Desk, kind: str) -> None:
    """waiting while it is held up, failed when it failed, and nothing once it is done."""
    change, concerned = CHANGES[kind]
    expected = concerned(desk)
    desk.plane.open.clear()
    change(desk)
    assert desk.told() == ("waiting", [(*one, "waiting") for one in expected])
    desk.plane.fails.set()
    desk.plane.open.set()
    assert desk.becomes("failed") == [(*one, "failed") for one in expected]
    desk.plane.fails.clear()
    assert desk.becomes("succeeded") == []


def test_a_change_that_concerns_nobody_is_in_force_at_once(desk: Desk) -> None:
    """A firewall without droplets has nothing to wait for."""
    desk.plane.open.clear()
    made = desk.call("POST", "firewalls", {"name": "idle", "inbound_rules": [OTHER]})["firewall"]
    assert (made["status"], made["pending_changes"]) == ("succeeded", [])
    assert desk.told() == ("succeeded", [])

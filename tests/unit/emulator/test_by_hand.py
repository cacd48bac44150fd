"""What is done to containers past the API is noticed; what the API does itself is not mistaken for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from rig import call, make_database, make_droplet

from emulator.cloud import databases, droplet_actions, droplets
from emulator.cloud.core import Cloud
from emulator.cloud.models import Job
from emulator.docker import events
from emulator.docker.engine import Owner
from emulator.planes.base import MachineEvent, PlaneError
from emulator.planes.memory import MemoryPlane
from harness.core.wait import NotYet, wait_for


def told(cloud: Cloud) -> list[tuple[str, str]]:
    """What the emulator says it noticed."""
    return [(each["ref"], each["text"]) for each in call(cloud, "GET", "/_wavetank/events").body["events"]]


def test_a_stopped_droplet_is_off(cloud: Cloud, plane: MemoryPlane) -> None:
    """With the reason; it can be powered on, and is then on."""
    made = make_droplet(cloud)
    plane.by_hand(made.ref, "stopped")
    after = droplets.get(cloud, made.id)
    assert (after.status, after.locked) == ("off", False)
    assert "stopped outside of the API" in after.error
    assert [ref for ref, _ in told(cloud)] == [made.ref]
    assert "stopped" in call(cloud, "GET", f"/_wavetank/console/droplet/{made.id}").body["error"]
    droplet_actions.post(cloud, made.id, "power_on", {})
    assert (droplets.get(cloud, made.id).status, droplets.get(cloud, made.id).error) == ("active", "")


@pytest.mark.parametrize("before", ["active", "off", "killed"])
def test_a_removed_droplet_is_off_and_says_that_its_disk_is_gone(
    cloud: Cloud, plane: MemoryPlane, before: str
) -> None:
    """Nobody can power it on as it was: that is for a rebuild."""
    made = make_droplet(cloud)
    if before == "off":
        droplet_actions.post(cloud, made.id, "power_off", {})
    if before == "killed":  # as rm --force does first
        plane.by_hand(made.ref, "stopped")
    plane.by_hand(made.ref, "removed")
    after = droplets.get(cloud, made.id)
    assert after.status == "off"
    assert "its disk with it; rebuild or destroy" in after.error


def test_a_droplet_that_is_started_by_hand_is_connected_again(cloud: Cloud, plane: MemoryPlane) -> None:
    """From off, and after a restart that nobody saw the first half of."""
    made = make_droplet(cloud)
    plane.by_hand(made.ref, "stopped")
    plane.by_hand(made.ref, "started")
    assert (droplets.get(cloud, made.id).status, droplets.get(cloud, made.id).error) == ("active", "")
    plane.by_hand(made.ref, "started")
    assert droplets.get(cloud, made.id).status == "active"
    assert [text for _, text in told(cloud)][1:] == [watch_text("STARTED")] * 2


def watch_text(name: str) -> str:
    """One of the sentences that are said."""
    from emulator.cloud import watch

    return str(getattr(watch, name))


@pytest.mark.parametrize(
    ("what", "word"), [("stopped", "docker start"), ("removed", "its data with it; destroy")]
)
def test_a_cluster_that_ends_is_not_online(
    cloud: Cloud, plane: MemoryPlane, what: MachineEvent, word: str
) -> None:
    """DigitalOcean has no other word for it than creating; the reason is in the console."""
    made = make_database(cloud)
    plane.by_hand(made.ref, "stopped")
    plane.by_hand(made.ref, what)
    assert call(cloud, "GET", f"/v2/databases/{made.id}").body["database"]["status"] == "creating"
    assert word in call(cloud, "GET", f"/_wavetank/console/database/{made.id}").body["error"]


def test_a_cluster_that_is_started_by_hand_is_online(cloud: Cloud, plane: MemoryPlane) -> None:
    """Once it takes connections again."""
    made = make_database(cloud)
    plane.by_hand(made.ref, "stopped")
    plane.by_hand(made.ref, "started")
    assert (databases.get(cloud, made.id).status, databases.get(cloud, made.id).error) == ("online", "")


def test_a_cluster_that_was_stopped_is_started_by_the_next_server(tmp_path: Path, plane: MemoryPlane) -> None:
    """As one that stopped while there was no server is."""
    first = Cloud(tmp_path / "db", plane, transitions="immediate")
    first.start()
    made = make_database(first)
    plane.by_hand(made.ref, "stopped")
    first.close()
    second = Cloud(tmp_path / "db", plane, transitions="immediate")
    second.start()
    assert databases.get(second, made.id).status == "online"
    second.close()


@pytest.mark.parametrize("action", ["power_off", "shutdown", "reboot", "power_cycle", "rebuild"])
def test_what_the_api_does_is_nobodys_hand(slow_cloud: Cloud, plane: MemoryPlane, action: str) -> None:
    """Events of its own work come while that is recorded, and late ones find what the records say."""
    made = make_droplet(slow_cloud)
    slow_cloud.advance()
    droplet_actions.post(slow_cloud, made.id, action, {})
    for what in ("stopped", "started"):
        plane._on_event(made.ref, what)
    slow_cloud.advance()
    plane._on_event(made.ref, "stopped")
    plane._on_event(made.ref, "removed")
    assert told(slow_cloud) == []
    expected = "off" if action in ("power_off", "shutdown") else "active"
    assert droplets.get(slow_cloud, made.id).status == expected


@pytest.mark.parametrize("first", ["stopped", "removed"])
@pytest.mark.parametrize("kind", ["droplet", "database"])
def test_what_ends_while_it_is_connected_again_is_noticed_after_that(
    slow_cloud: Cloud, plane: MemoryPlane, kind: str, first: MachineEvent
) -> None:
    """Work was under way when it went: that fails, or goes well just before."""
    ref = (make_droplet if kind == "droplet" else make_database)(slow_cloud).ref
    slow_cloud.advance()
    plane.by_hand(ref, "started")
    if first == "stopped":  # once the work has passed that point
        plane._on_event(ref, "stopped")
        slow_cloud.advance()
        plane._machines[ref] = "stopped"
    else:
        plane.by_hand(ref, "removed")
        slow_cloud.advance()
    plane._on_event("", "stopped")
    words = {"stopped": "was stopped outside", "removed": "was removed outside"}
    assert words[first] in told(slow_cloud)[-1][1]
    assert plane.existing().machines.get(ref) == ("stopped" if first == "stopped" else None)


def test_a_rebuild_that_fails_says_why_it_did(slow_cloud: Cloud, plane: MemoryPlane) -> None:
    """It removed the machine itself: that is nobody's hand."""
    made = make_droplet(slow_cloud)
    slow_cloud.advance()
    droplet_actions.post(slow_cloud, made.id, "rebuild", {})
    plane.by_hand(made.ref, "removed")
    plane.faults[f"droplet:{made.name}"] = "the disk is full"
    slow_cloud.advance()
    plane._machines.pop(made.ref, None)
    plane._on_event("", "stopped")
    assert told(slow_cloud) == []
    assert "the disk is full" in droplets.get(slow_cloud, made.id).error


def test_destroying_is_nobodys_hand(slow_cloud: Cloud, plane: MemoryPlane) -> None:
    """Neither before the machine is gone nor after."""
    made, database = make_droplet(slow_cloud), make_database(slow_cloud)
    slow_cloud.advance()
    droplets.delete(slow_cloud, made.id)
    databases.delete(slow_cloud, database.id)
    for ref in (made.ref, database.ref):
        plane.by_hand(ref, "removed")
    slow_cloud.advance()
    for ref in (made.ref, database.ref):
        plane.by_hand(ref, "removed")
    assert told(slow_cloud) == []


def test_what_stopped_with_the_engine_is_started_again(cloud: Cloud, plane: MemoryPlane) -> None:
    """An engine that was away took its machines with it: that is nobody's wish."""
    made, database = make_droplet(cloud), make_database(cloud)
    plane._machines |= {made.ref: "stopped", database.ref: "stopped"}
    plane._on_event("", "away")
    assert set(plane.existing().machines.values()) == {"running"}
    assert (droplets.get(cloud, made.id).status, databases.get(cloud, database.id).status) == (
        "active",
        "online",
    )


@pytest.mark.parametrize("kind", ["droplet", "database"])
def test_what_stopped_with_the_engine_during_work_is_started_again(
    slow_cloud: Cloud, plane: MemoryPlane, kind: str
) -> None:
    """Work on it is under way when the engine is back: its absence is not forgotten meanwhile."""
    ref = (make_droplet if kind == "droplet" else make_database)(slow_cloud).ref
    slow_cloud.advance()
    plane.by_hand(ref, "started")
    plane._on_event(ref, "stopped")
    plane._on_event("", "away")
    slow_cloud.advance()
    plane._machines[ref] = "stopped"  # once the work had passed that point
    plane._on_event("", "stopped")
    assert told(slow_cloud)[-1] == (ref, watch_text("AWAY"))
    slow_cloud.advance()
    assert plane.existing().machines == {ref: "running"}


def test_the_engines_absence_is_of_one_machine_only_while_work_goes_on(
    slow_cloud: Cloud, plane: MemoryPlane
) -> None:
    """Another one that somebody stops meanwhile stays stopped."""
    busy, other = make_droplet(slow_cloud), make_database(slow_cloud)
    slow_cloud.advance()
    plane.by_hand(busy.ref, "started")
    plane._on_event("", "away")
    plane.by_hand(other.ref, "stopped")
    assert told(slow_cloud)[-1] == (other.ref, watch_text("DATABASE_STOPPED"))


def test_nothing_waits_for_a_removal_that_fails(slow_cloud: Cloud, plane: MemoryPlane) -> None:
    """It is recorded until the next start, and the engine would be asked every second until then."""
    made = make_droplet(slow_cloud)
    slow_cloud.advance()
    droplets.delete(slow_cloud, made.id)
    plane.by_hand(made.ref, "stopped")
    plane._on_event("", "away")
    assert slow_cloud.jobs.busy()
    assert not slow_cloud.watch._events


def test_a_lost_network_is_said_and_made_anew(cloud: Cloud, plane: MemoryPlane) -> None:
    """At once, with the rules of the records."""
    before = plane.policy.serial
    plane.by_hand("fabric", "stopped")
    assert told(cloud) == [("fabric", watch_text("FABRIC_LOST"))]
    assert plane.policy.serial > before


class RestlessPlane(MemoryPlane):
    """Whose look takes so long that a power cycle fits into it."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] | None = None

    def existing(self) -> Any:
        """What there was before ``meanwhile`` happened."""
        found, (act, self.meanwhile) = super().existing(), (self.meanwhile, None)
        if act is not None:
            act()
        return found


def test_what_changes_during_the_look_is_looked_at_again() -> None:
    """A droplet that was off when the engine was asked, and is on by now, is on."""
    plane = RestlessPlane()
    cloud = Cloud(None, plane, transitions="immediate")
    cloud.start()
    made = make_droplet(cloud)
    droplet_actions.post(cloud, made.id, "power_off", {})
    plane.meanwhile = lambda: droplet_actions.post(cloud, made.id, "power_on", {})
    plane._on_event("", "away")
    assert droplets.get(cloud, made.id).status == "active"
    assert told(cloud) == []
    cloud.close()


def test_a_plane_that_cannot_be_asked_is_asked_again(
    plane: MemoryPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while an engine restarts: what stopped with it is started again, once it can be seen."""
    monkeypatch.setattr("emulator.cloud.watch.RETRY_SECONDS", 0.01)
    cloud = Cloud(None, plane, transitions="background")
    cloud.start()
    made = make_droplet(cloud)
    wait_for("the boot", lambda: settled(cloud), deadline=20)
    looks, look = iter([PlaneError("no engine")] * 3), plane.existing

    def existing() -> Any:
        for error in looks:
            raise error
        return look()

    monkeypatch.setattr(plane, "existing", existing)
    plane.by_hand(made.ref, "stopped")

    def probe() -> None:
        if look().machines[made.ref] != "running":
            raise NotYet(str(look()))

    wait_for("the droplet to run", probe, deadline=20)
    wait_for("the end of that", lambda: settled(cloud), deadline=20)
    assert droplets.get(cloud, made.id).status == "active"
    assert [text for _, text in told(cloud)] == [watch_text("AWAY")]
    cloud.close()


def settled(cloud: Cloud) -> None:
    """Nothing is under way."""
    if cloud.store.all(Job):
        raise NotYet("jobs")


# -- the engine's stream


def event(action: str, **labels: str) -> dict[str, Any]:
    """An event as the engine tells it."""
    return {"Type": "container", "Action": action, "Actor": {"Attributes": labels}}


def test_events_are_read_by_their_labels() -> None:
    """What is none of ours, or nothing that matters, is passed over."""
    stream = [
        event("start", **{"wavetank.ref": "droplet:1", "wavetank.kind": "droplet"}),
        event("die", **{"wavetank.kind": "fabric"}),
        event("destroy", **{"wavetank.ref": "database:a"}),
        event("exec_start", **{"wavetank.ref": "droplet:1"}),
        event("die", other="label"),
        {},
    ]
    assert list(events.machine_events(iter(stream))) == [
        ("droplet:1", "started"),
        ("fabric", "stopped"),
        ("database:a", "removed"),
    ]


class Stream:
    """What an engine says until it goes away, or is closed."""

    def __init__(self, said: list[Mapping[str, Any]], *, stays: bool) -> None:
        self._said, self._closed = iter(said), threading.Event()
        if not stays:
            self._closed.set()

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        yield from self._said
        self._closed.wait(20)

    def close(self) -> None:
        """Wake the reader."""
        self._closed.set()


class Engine:
    """An engine that answers with a stream, or not at all."""

    def __init__(self, stream: Stream) -> None:
        self.api, self._stream = self, stream

    def events(self, **_options: Any) -> Stream:
        """The stream."""
        return self._stream

    def close(self) -> None:
        """Nothing."""


def test_an_engine_that_restarts_is_listened_to_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever way it goes; each time anything may have happened meanwhile."""
    monkeypatch.setattr(events, "AGAIN_SECONDS", 0.01)
    died = [event("die", **{"wavetank.ref": "droplet:1"})]
    ways: Iterator[Any] = iter(
        [
            Engine(Stream(died, stays=False)),
            PlaneError("no engine"),
            requests.ConnectionError("refused"),
            docker.errors.APIError("is stopping"),
            ValueError("half a line of JSON"),
            Engine(Stream(died, stays=True)),
        ]
    )

    def connect() -> Any:
        way = next(ways)
        if isinstance(way, Exception):
            raise way
        return way

    monkeypatch.setattr(events, "connect", connect)
    said: list[tuple[str, str]] = []
    listening = events.Events(Owner("test", Path("/nowhere")), lambda ref, what: said.append((ref, what)))
    listening.start()

    def probe() -> None:
        if len(said) < 4:
            raise NotYet(str(said))

    wait_for("the second engine", probe, deadline=20)
    assert said == [("", "away"), ("droplet:1", "stopped")] * 2
    listening.close()

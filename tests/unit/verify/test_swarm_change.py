"""The image that is broken on purpose, and services that are replaced."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace as changed
from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.errors import CheckFailedError
from harness.swarm.converge import State
from harness.swarm.snapshot import Member, ServiceState, Task
from harness.verify.swarm import change
from harness.verify.swarm.change import broken_image


def test_the_broken_image_is_the_same_each_time() -> None:
    """Its id is what engines make of its configuration, so that it can be named before it is loaded."""
    image = broken_image()
    with tarfile.open(fileobj=io.BytesIO(image.archive)) as archive:
        files = {each.name: archive.extractfile(each) for each in archive}
        texts = {name: file.read() for name, file in files.items() if file}
    (manifest,) = json.loads(texts["manifest.json"])
    assert image.id == "sha256:" + hashlib.sha256(texts[manifest["Config"]]).hexdigest()
    layers = json.loads(texts[manifest["Config"]])["rootfs"]["diff_ids"]
    assert layers == ["sha256:" + hashlib.sha256(texts[each]).hexdigest() for each in manifest["Layers"]]
    assert broken_image() == image


def state(*tasks: str, old: str = "running", update: str = "updating") -> State:
    """A swarm of one node with tasks like ``web.1 old``: old ones are in the ``old`` state, others run."""
    member = Member(
        "one", "id-one", "worker", "ready", "active", leader=False, reachability="", address="", labels={}
    )
    services = tuple(ServiceState(name, f"s-{name}", "sha256:1", 1, 1, update, "") for name in ("api", "web"))
    return State((member,), services, tuple(task(each, old) for each in tasks))


def task(name: str, old: str) -> Task:
    """One task; an old one that does not run any more is to be shut down."""
    service = name.partition(".")[0]
    made = Task(name, service, 1, "one", "running", "running", "", "sha256:1", "", "")
    return changed(made, desired="shutdown", state=old) if name.endswith("old") and old != "running" else made


class Played:
    """A swarm that shows one state after the other, the last for ever. ``orders`` is what was asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *states: State) -> None:
        self.states, self.orders = list(states), list[str]()
        self.session: Any = SimpleNamespace(access=None, topology=None, deployment=None)
        monkeypatch.setattr(change.snapshot, "a_manager", lambda *_: "boss")
        monkeypatch.setattr(change.converge, "inspect_stack", self.inspect)
        monkeypatch.setattr(change, "order", lambda _, service, *__: self.orders.append(service))

    def inspect(self, *_: Any) -> State:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


def test_services_are_replaced_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are ordered, and each is waited for until its old task has ended and a new one runs."""
    played = Played(
        monkeypatch,
        state("api.1 old", "web.1 old"),
        state("api.1 old", "api.1 new", "web.1 old", "web.1 new"),
        state("api.1 new", "web.1 old", "web.1 new", old="starting"),
        state("api.1 new", "web.1 old", "web.1 new", old="complete"),
    )
    assert change.replace(played.session, "api", "web") == {"api": 1, "web": 1}
    assert (played.orders, len(played.states)) == (["api", "web"], 1)


def test_an_update_that_stops_is_no_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for any longer."""
    before = state("api.1 old", "web.1 old")
    played = Played(monkeypatch, before, state("api.1 new", "web.1 old", update="paused"))
    with pytest.raises(CheckFailedError, match="the update of web ended as paused"):
        change.replace(played.session, "web")

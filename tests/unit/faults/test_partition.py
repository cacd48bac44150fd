"""A node is cut off by its firewalls, and let in again whatever happens."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from failover_rig import RUN

from harness.core.errors import InconclusiveError, ResourceError
from harness.faults import partition
from harness.faults.partition import HANG_UP, cut_off, detached
from harness.firewall.from_api import read
from harness.mutation import journal
from harness.mutation.apply import NotRestoredError
from harness.mutation.campaign import restore
from harness.run.rundir import RunDir
from harness.target.api import Api
from harness.target.target import Target

NODE = "worker-1"


class Played:
    """Stands in for the way in: keeps what was run where."""

    def __init__(self, run_dir: RunDir) -> None:
        self.run_dir = run_dir
        self.ran: list[tuple[str, str]] = []

    def run(self, node: str, script: str) -> str:
        """Nothing, really."""
        self.ran.append((node, script))
        return ""


@pytest.fixture
def access(run_dir: RunDir) -> Any:
    """A way in that goes nowhere."""
    return Played(run_dir)


def walls(api: Api) -> set[str]:
    """The firewalls that cover the node, by name; one of many droplets is several, NAME-2 and so on."""
    return {each.name.partition("--")[2].removesuffix("-2") for each in read(api, RUN).covering(NODE)}


def test_a_node_is_on_no_firewall_with_the_swarms_ports_while_it_is_cut_off(
    api: Api, cloud: Target, access: Any
) -> None:
    """The way in and the way to its databases stay; nobody else is touched, and everything is put back."""
    original = read(api, RUN)
    whole = walls(api)
    with cut_off(api, cloud, access, NODE):
        assert whole - walls(api) == {"swarm-member", "swarm-worker"}
        assert walls(api) == {"judge0-workers", "management-nodes"}
        now = read(api, RUN)
        others = [each for each in now.droplets.values() if each.name != NODE]
        for before, after in zip(original.state.firewalls, now.state.firewalls, strict=True):
            assert [before.covers(each) for each in others] == [after.covers(each) for each in others]
        assert journal.read(access.run_dir) == original.state
    assert read(api, RUN) == original
    assert journal.read(access.run_dir) is None


def test_what_stands_is_ended_too(api: Api, cloud: Target, access: Any) -> None:
    """On the node itself where no emulator can be told to."""
    with cut_off(api, cloud, access, NODE):
        assert access.ran == [(NODE, HANG_UP)]
    assert "sport = :2377 or dport = :2377" in HANG_UP


def test_an_emulator_is_told_to_forget(
    api: Api, cloud: Target, access: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the droplet's id."""
    told: list[tuple[str, str]] = []

    class EmulatorApi:
        def __init__(self, target: Target) -> None:
            self.target = target

        def __enter__(self) -> Any:
            return SimpleNamespace(ask=lambda method, path: told.append((method, path)))

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(partition, "EmulatorApi", EmulatorApi)
    emulated = replace(cloud, info={"plane": "docker"})
    id_ = read(api, RUN).droplets[NODE].id
    with cut_off(api, emulated, access, NODE):
        assert told == [("DELETE", f"/connections/droplet/{id_}")]
    assert access.ran == []


@pytest.mark.parametrize("number", [signal.SIGINT, None])
def test_it_is_let_in_again_whatever_happens(
    api: Api, cloud: Target, access: Any, number: int | None
) -> None:
    """ctrl-C, or an error."""
    original = read(api, RUN)

    def happen() -> None:
        if number is None:
            raise ZeroDivisionError
        os.kill(os.getpid(), number)

    with pytest.raises((KeyboardInterrupt, ZeroDivisionError)), cut_off(api, cloud, access, NODE):
        happen()
    assert read(api, RUN) == original
    assert journal.read(access.run_dir) is None


def test_a_node_that_could_not_be_cut_off_is_let_in_again(
    api: Api, cloud: Target, access: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the firewalls may have been changed by then."""
    original = read(api, RUN)
    monkeypatch.setattr(partition, "flush_conntrack", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError), cut_off(api, cloud, access, NODE):
        pass
    assert read(api, RUN) == original


def test_what_a_killed_process_left_is_put_back_first(api: Api, cloud: Target, access: Any) -> None:
    """Else what is broken would be taken for what was there."""
    network = read(api, RUN)
    original = network.state
    journal.write(access.run_dir, original)
    partition.apply.put(api, network, detached(network, "worker-2"))
    with cut_off(api, cloud, access, NODE):
        assert journal.read(access.run_dir) == original
    assert read(api, RUN).state == original


def test_the_journal_stays_where_nothing_can_be_put_back(
    api: Api, cloud: Target, access: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that `wavetank up` or the next mutate finds it."""
    original = read(api, RUN).state
    with monkeypatch.context() as patched:

        def fail(*_: object, **__: object) -> None:
            raise NotRestoredError(RUN, "everything")

        patched.setattr(partition.apply, "restore", fail)
        with pytest.raises(NotRestoredError), cut_off(api, cloud, access, NODE):
            pass
    assert journal.read(access.run_dir) == original
    assert restore(api, access.run_dir)
    assert read(api, RUN).state == original


def test_a_node_on_no_such_firewall_cannot_be_cut_off(api: Api) -> None:
    """There is nothing to take it off."""
    network = read(api, RUN)
    left = tuple(each for each in network.state.firewalls if "swarm" not in each.name)
    bare = network.under(replace(network.state, firewalls=left))
    with pytest.raises(InconclusiveError, match="none can cut it off"):
        detached(bare, NODE)


def test_a_node_on_no_other_firewall_cannot_be_cut_off(api: Api) -> None:
    """Without any it would be open to all."""
    network = read(api, RUN)
    left = tuple(each for each in network.state.firewalls if "swarm" in each.name)
    only = network.under(replace(network.state, firewalls=left))
    with pytest.raises(InconclusiveError, match="and so open"):
        detached(only, NODE)


def test_a_node_that_is_none_is_refused(api: Api) -> None:
    """By its name."""
    with pytest.raises(ResourceError, match="worker-9"):
        detached(read(api, RUN), "worker-9")

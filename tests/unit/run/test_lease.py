"""A run that somebody uses, on whatever machine, is left alone; what a dead command claimed expires."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emulator
from emulator.cloud.core import Cloud
from emulator.cloud.models import Tag
from harness import provision
from harness.core.errors import UsageError
from harness.core.names import run_of_tag
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.run import lease
from harness.run.lease import LIFE_SECONDS, Lease
from harness.run.sweep import sweep
from harness.target.target import Target

PROJECT = Path(__file__).resolve().parents[3]
QUIET = Progress(quiet=True)
NOTHING = timedelta(0)
TARGET = Target("do", "https://api.digitalocean.com", "token", operators=("198.51.100.7/32",))
HOLDER = """
import sys
from harness.run import lease
from harness.core.progress import Progress
from harness.target.target import resolve_target
from pathlib import Path
target = resolve_target("local", state_dir=Path(sys.argv[1]), progress=Progress(quiet=True))
lease.keep(target, "a")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """An account with run "a" in it: its tag, which is enough."""
    with emulator.mock() as cloud:
        cloud.store.put(Tag(name="wavetank:a"))
        yield cloud
        lease.end()


def elsewhere() -> Lease:
    """What somebody on another machine has just taken."""
    return Lease("a", int(time.time()) + LIFE_SECONDS, "anna", "laptop", "0a1b2c3d")


def tags(cloud: Cloud) -> list[str]:
    """The leases that are there."""
    return [tag.name for tag in cloud.store.all(Tag) if tag.name.startswith("wavetank-lease:")]


def put(cloud: Cloud, held: Lease) -> None:
    """Somebody's lease."""
    cloud.store.put(Tag(name=held.tag))


def await_tags(cloud: Cloud, wanted: int, other_than: str = "") -> None:
    """Until there are so many, and not that one."""

    def probe() -> None:
        found = tags(cloud)
        if len(found) != wanted or other_than in found:
            raise NotYet(str(found))

    wait_for("the leases", probe, deadline=20, max_pause=0.05)


@settings(max_examples=30)
@given(st.integers(0, 2**40), st.text(max_size=90), st.text(max_size=90))
def test_whatever_a_user_and_a_machine_are_called_it_is_a_tag(until: int, user: str, host: str) -> None:
    """Of DigitalOcean's characters, not too long, read back as it was, and no run's own."""
    made = Lease("r" * 24, until, lease._part(user), lease._part(host), "0a1b2c3d")
    assert re.fullmatch(r"[a-zA-Z0-9_\-:]{1,255}", made.tag)
    assert lease.parse(made.tag) == made
    assert run_of_tag(made.tag) is None


@pytest.mark.parametrize(
    "tag", ["wavetank:a", "wavetank-lease:a", "wavetank-lease:a:x:u:h:i", "wavetank-lease:A:1:u:h:i", "x"]
)
def test_other_tags_are_no_leases(tag: str) -> None:
    """However near they come."""
    assert lease.parse(tag) is None


def test_a_lease_is_there_while_a_command_works_and_gone_at_its_end(cloud: Cloud) -> None:
    """Once, however often it is asked for; ended twice is ended."""
    lease.keep(TARGET, "a")
    lease.keep(TARGET, "a")
    (held,) = lease.alive(tags(cloud))
    assert (held.run, held.holder) == ("a", lease.me())
    assert held.until - time.time() > LIFE_SECONDS / 2
    lease.end()
    lease.end()
    assert tags(cloud) == []


def test_a_lease_is_renewed_and_there_is_only_one(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new one is made before the old one goes."""
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    lease.keep(TARGET, "a")
    (first,) = tags(cloud)[:1]
    await_tags(cloud, 1, other_than=first)


def test_a_lease_bears_on_no_gate(cloud: Cloud) -> None:
    """The network's rules are not even applied anew while it comes and goes."""
    cloud.network.policy()
    before = cloud.store.next_number("policy", 1)
    lease.keep(TARGET, "a")
    lease.end()
    assert cloud.store.next_number("policy", 1) == before + 1


def test_sweep_leaves_a_run_alone_that_somebody_uses_elsewhere(cloud: Cloud) -> None:
    """It says who and until when; once that has expired the run goes, and the lease with it."""
    held = elsewhere()
    put(cloud, held)
    swept = sweep(TARGET, NOTHING)
    assert (swept.runs, list(swept.left)) == ([], ["a"])
    assert re.search(r"anna on laptop uses it \(until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", swept.left["a"])
    later = datetime.now(UTC) + timedelta(seconds=LIFE_SECONDS + 1)
    cloud.store.delete(Tag(name=held.tag))
    put(cloud, replace(held, until=int(time.time()) - 1))
    assert sweep(TARGET, NOTHING, now=later).runs == ["a"]
    assert (provision.runs(TARGET), tags(cloud)) == ((), [])


def test_sweep_checks_again_after_confirmation(cloud: Cloud) -> None:
    """Agreeing takes a while, in which somebody may begin."""
    swept = sweep(TARGET, NOTHING, agree=lambda _: put(cloud, elsewhere()))
    assert (swept.runs, list(swept.left)) == ([], ["a"])
    assert provision.runs(TARGET) == ("a",)


def test_sweep_deletes_what_a_dead_command_left_of_a_run_that_is_gone(cloud: Cloud) -> None:
    """Only once it has expired."""
    cloud.store.delete(Tag(name="wavetank:a"))
    put(cloud, replace(elsewhere(), run="gone"))
    assert sweep(TARGET, NOTHING).runs == []
    later = datetime.now(UTC) + timedelta(seconds=LIFE_SECONDS * 2)
    assert sweep(TARGET, NOTHING, now=later).runs == ["gone"]
    assert tags(cloud) == []


def test_down_asks_who_uses_it() -> None:
    """Another user's stops it, unless forced; one's own is only told."""
    with pytest.raises(UsageError, match=r"anna on laptop .*--force"):
        lease.check_free("a", [elsewhere()], QUIET, force=False)
    lease.check_free("a", [elsewhere()], QUIET, force=True)
    mine = Lease("a", elsewhere().until, *lease.me(), "1")
    lease.check_free("a", [mine], QUIET, force=False)


def test_without_a_token_that_may_write_it_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers at all: the command goes on."""
    monkeypatch.setattr(lease, "END_SECONDS", 20)
    lease.keep(replace(TARGET, endpoint="https://127.0.0.1:9"), "a")
    lease.end()


def test_a_killed_command_leaves_a_lease_that_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9, in a process of its own, seen by another."""
    from harness.target import emulator_process
    from harness.target.api import Api, every
    from harness.target.target import resolve_target

    monkeypatch.setenv("WAVETANK_PLANE", "memory")
    target = resolve_target("local", state_dir=tmp_path, progress=QUIET)
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with Api(target, read_only=True) as api:
            named = [tag["name"] for tag in every(api.client.tags.list, "tags")]
        (held,) = lease.alive(named)
        assert lease.alive(named, now=held.until + 1) == ()
        assert held.until <= time.time() + LIFE_SECONDS
    finally:
        emulator_process.stop(tmp_path, destroy=True)

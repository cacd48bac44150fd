"""Making a swarm and getting into it, as far as no engine is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from swarm_helpers import FakeAccess, deployment, failure

from harness.core.errors import ResourceError
from harness.swarm import join

TOKEN = "SWMTKN-1-abc-def"
PROSPECTIVE = (
    "Error response from daemon: manager stopped: can't initialize raft node: rpc error: code = Unknown desc "
    "= could not connect to prospective new cluster member using its advertised address"
)


@pytest.mark.parametrize(
    ("vpc_range", "pool"),
    [
        ("10.110.0.0/20", ""),
        ("10.1.0.0/16", ""),
        ("192.168.0.0/16", ""),
        ("", ""),
        ("10.0.0.0/20", "10.128.0.0/16"),
        ("10.0.240.0/20", "10.128.0.0/16"),
    ],
)
def test_overlays_are_not_in_the_vpcs_range(vpc_range: str, pool: str) -> None:
    """Docker takes them from 10.0.0.0 on, whatever is there."""
    access = FakeAccess(lambda *_: "")
    join.init(access, replace(deployment(), vpc_range=vpc_range), "boss", 5)
    (_, script, _) = access.asked[0]
    assert ("--default-addr-pool" in script) == bool(pool)
    assert pool in script


def test_swarm_is_made_at_the_private_address() -> None:
    """What it prints is a token, and nobody sees it."""
    access = FakeAccess(lambda *_: "")
    join.init(access, deployment(), "boss", 5)
    ((name, script, _),) = access.asked
    assert name == "boss"
    assert "--advertise-addr 10.1.0.10 --listen-addr 10.1.0.10:2377 --dispatcher-heartbeat 5s" in script
    assert script.rstrip().endswith(">/dev/null")


def test_token_goes_by_standard_input() -> None:
    """Scripts are visible in process lists."""
    access = FakeAccess(lambda *_: "")
    join.join(access, deployment(), "boss", "two", TOKEN)
    assert [stdin for _, _, stdin in access.asked if stdin] == [f"{TOKEN}\n".encode()]
    assert not any(TOKEN in script for _, script, _ in access.asked)
    assert "--advertise-addr 10.1.0.12 --listen-addr 10.1.0.12:2377 10.1.0.10:2377" in access.asked[-1][1]


def test_what_failed_to_join_does_not_try_on() -> None:
    """Docker would go on in the background, and join when nobody looks."""

    def answer(name: str, script: str) -> str:
        if "swarm join" in script:
            raise failure("Error response from daemon: Timeout was reached before node joined.")
        return ""

    access = FakeAccess(answer)
    with pytest.raises(ResourceError, match=r"'two': did not join the swarm of boss: .*Timeout was reached"):
        join.join(access, deployment(), "boss", "two", TOKEN)
    assert access.asked[-1][:2] == ("two", "docker swarm leave --force")


def test_manager_that_is_not_heard_is_told_the_other_way_round() -> None:
    """It is the old manager that has to reach the new one."""

    def answer(name: str, script: str) -> str:
        if "swarm join" in script:
            raise failure(PROSPECTIVE)
        return ""

    with pytest.raises(ResourceError) as caught:
        join.join(FakeAccess(answer), deployment(), "boss", "two", TOKEN)
    assert "10.1.0.10 (boss) does not reach the swarm's manager at 10.1.0.12 (two)" in str(caught.value)
    assert "`wavetank explain boss two 2377/tcp`" in str(caught.value)


def test_way_that_is_shut_is_told_by_its_ends() -> None:
    """With what the probe met."""

    def answer(name: str, script: str) -> str:
        raise failure("bash: connect: Connection refused")

    with pytest.raises(ResourceError) as caught:
        join.await_reachable(FakeAccess(answer), deployment(), "two", "boss", deadline=0)
    message = str(caught.value)
    assert "10.1.0.12 (two) does not reach the swarm's manager at 10.1.0.10 (boss) on 2377/tcp" in message
    assert "Connection refused" in message
    assert "admit 2377/tcp from two to boss" in message


@pytest.mark.parametrize("name", ["boss", "nobody"])
def test_droplet_without_a_private_address_cannot_be_a_member(name: str) -> None:
    """Members talk by nothing else."""
    given = deployment()
    nodes = {**given.nodes, "boss": replace(given.nodes["boss"], private_ip=None)}
    with pytest.raises(ResourceError, match=f"{name!r}: has no private address"):
        join.private(replace(given, nodes=nodes), name)


def test_leaving_what_one_is_not_in_is_fine() -> None:
    """It is what was wanted."""

    def answer(name: str, script: str) -> str:
        raise failure("Error response from daemon: This node is not part of a swarm")

    join.leave(FakeAccess(answer), "one")


def test_engine_that_goes_on_joining_is_waited_for() -> None:
    """On a slow machine 20 s, which is all that Docker waits for, are not enough."""
    states = iter(["pending: ", "active: "])

    def answer(name: str, script: str) -> str:
        if "swarm join" in script:
            raise failure("Timeout was reached before node joined. It will continue in the background.")
        return next(states) if "LocalNodeState" in script else ""

    access = FakeAccess(answer)
    join.join(access, deployment(), "boss", "two", TOKEN)
    assert list(states) == []
    assert not any("swarm leave" in script for _, script, _ in access.asked)

"""When the overlay network is left alone, made, made anew, or an error."""

from __future__ import annotations

from typing import Any

import pytest
from swarm_helpers import FakeAccess, failure, lines

from harness.core.errors import ResourceError
from harness.swarm import network
from harness.topology.model import Overlay

FINE = {"Name": "net", "Id": "n1", "Driver": "overlay", "Attachable": True, "Options": {"x": "4097"}}
IN_USE = (
    "Error response from daemon: rpc error: code = FailedPrecondition desc = network n1 is in use by task t1"
)


class Docker:
    """The networks of one engine."""

    def __init__(self, *networks: dict[str, Any], users: str = "", refusals: int = 0) -> None:
        self.networks, self.users, self.refusals = list(networks), users, refusals
        self.changed: list[str] = []

    def __call__(self, node: str, script: str) -> str:
        if "network inspect" in script:
            return lines(*self.networks)
        if "service inspect" in script:
            return self.users
        self.changed.append(script)
        if "network rm" in script and self.users:
            raise failure(IN_USE)
        if "network create" in script and self.refusals:
            self.refusals -= 1
            raise failure("network with name net already exists")
        return ""


def test_network_that_is_as_it_is_to_be_is_left_alone() -> None:
    """Whatever Docker itself notes in its options."""
    docker = Docker(FINE)
    assert network.ensure(FakeAccess(docker), "boss", Overlay("net")) == ()
    assert docker.changed == []


def test_network_is_made_with_its_options() -> None:
    """Attachable, and encrypted where that is asked for."""
    docker = Docker()
    assert network.ensure(FakeAccess(docker), "boss", Overlay("net", encrypted=True)) == (
        "made encrypted network net",
    )
    assert docker.changed == [
        "docker network create --driver overlay --attachable --opt encrypted net >/dev/null"
    ]


@pytest.mark.parametrize(
    ("found", "differs"),
    [
        ({**FINE, "Driver": "bridge"}, "its driver is bridge, not overlay"),
        ({**FINE, "Attachable": False}, "it is not attachable"),
        ({**FINE, "Options": {"encrypted": ""}}, "it is encrypted"),
        (
            {**FINE, "Attachable": False, "Options": {"encrypted": ""}},
            "it is not attachable and it is encrypted",
        ),
    ],
)
def test_network_that_differs_is_made_anew(found: dict[str, Any], differs: str) -> None:
    """And it is said how it differed."""
    docker = Docker(found)
    assert network.ensure(FakeAccess(docker), "boss", Overlay("net")) == (
        f"made network net anew: {differs}",
    )
    assert [each.split()[2] for each in docker.changed] == ["rm", "create"]


def test_network_that_is_still_on_its_way_out_is_waited_for() -> None:
    """Docker removes it in its own time."""
    docker = Docker({**FINE, "Attachable": False}, refusals=1)
    network.ensure(FakeAccess(docker), "boss", Overlay("net"))
    assert [each.split()[2] for each in docker.changed] == ["rm", "create", "create"]


def test_network_in_use_is_an_error_that_names_who_uses_it() -> None:
    """Not by an id that nobody knows."""
    docker = Docker({**FINE, "Options": {"encrypted": ""}}, users="stack_web n1\nother n2\nstack_api n2 n1\n")
    with pytest.raises(ResourceError) as caught:
        network.ensure(FakeAccess(docker), "boss", Overlay("net"))
    message = str(caught.value)
    assert "network 'net': is there, but it is encrypted" in message
    assert "used by stack_web, stack_api" in message
    assert "remedy:" in message


def test_network_of_a_name_that_begins_alike_is_another() -> None:
    """Docker finds networks by the beginning of their ids, too."""
    docker = Docker({**FINE, "Name": "net2"})
    assert network.ensure(FakeAccess(docker), "boss", Overlay("net")) == ("made network net",)

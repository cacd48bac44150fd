"""Docker's placement constraints, held against nodes as the engine describes them."""

from __future__ import annotations

from typing import Any

import pytest

from harness.swarm.placing import facts, normalised, satisfies

NODE: dict[str, Any] = {
    "ID": "abc123",
    "Spec": {"Role": "worker", "Availability": "active", "Labels": {"role": "judge0-server", "zone": "FRA1"}},
    "Description": {
        "Hostname": "server-1",
        "Platform": {"Architecture": "x86_64", "OS": "linux"},
        "Engine": {"Labels": {"disk": "ssd"}},
    },
}


@pytest.mark.parametrize(
    ("constraint", "satisfied"),
    [
        ("node.role == worker", True),
        ("node.role==Worker", True),
        ("node.role != manager", True),
        ("node.role == manager", False),
        ("node.id == abc123", True),
        ("node.hostname != server-1", False),
        ("node.labels.role == judge0-server", True),
        ("node.labels.judge0-server == true", False),
        ("node.labels.judge0-server != true", True),
        ("node.labels.zone == fra1", True),
        ("engine.labels.disk == ssd", True),
        ("node.platform.os == linux", True),
        ("node.platform.arch != aarch64", True),
    ],
)
def test_a_constraint_holds_as_docker_has_it(constraint: str, satisfied: bool) -> None:
    """By role, name, id, platform and labels; what a node lacks is the empty text."""
    assert satisfies(constraint, facts(NODE)) is satisfied


def test_a_node_without_labels_has_none() -> None:
    """The engine says null where there are none."""
    bare = {"ID": "x", "Spec": {"Role": "manager", "Labels": None}, "Description": {"Engine": {}}}
    assert not satisfies("node.labels.role == client", facts(bare))


def test_spaces_make_no_difference() -> None:
    """The engine keeps constraints as they were written."""
    assert normalised(" node.labels.x  == true ") == normalised("node.labels.x==true")


@pytest.mark.parametrize("text", ["node.role", "node.role = worker", "== worker", "node.role =="])
def test_what_is_no_constraint_is_told(text: str) -> None:
    """With the form that it should have."""
    with pytest.raises(ValueError, match="write KEY==VALUE"):
        satisfies(text, {})

"""What a topology says of an application that is not ours: headers, languages, words, ports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.core.errors import TopologyError
from harness.topology import Topology
from harness.topology.deployment import Deployment
from harness.topology.rendering import headers
from harness.topology.rendering.imagined import imagined

Loader = Callable[..., Topology]

DOOR = "    path: /run"
JUDGE0 = "port: 8000, source: web}"
PASSWORD = "{{ databases.store.private.password }}"


def made(topology: Topology) -> Deployment:
    """A deployment of it that there is not; its database's password is ``secret``."""
    return imagined(topology)


def test_what_is_not_said_is_as_it_was(load_small: Loader) -> None:
    """Plain HTTP at port 80, all languages, no header."""
    topology = load_small()
    door = topology.checks.front_door
    assert door is not None
    assert (door.scheme, door.port, door.server_name) == ("http", 80, "")
    assert (door.headers, door.languages, door.statuses) == ({}, {}, {})
    assert headers.front_door(topology, made(topology)) is door
    assert headers.judge0(topology, made(topology)) == {}
    assert headers.secrets(topology, made(topology)) == ("secret",)


def test_a_front_door_says_all_of_it(load_small: Loader) -> None:
    """A port of its own; ids as a list, of which the first of a language counts; words and numbers."""
    more = (
        f"{DOOR}\n    scheme: https\n    port: 80\n    server_name: code.example\n"
        "    languages: [71, 62, 49, 50, 54]\n    statuses: {OK: Accepted, 0: 3, true: 3, TLE: '5'}"
    )
    door = load_small((DOOR, more)).checks.front_door
    assert door is not None
    assert (door.scheme, door.port, door.server_name) == ("https", 80, "code.example")
    assert door.languages == {"python": 71, "62": 62, "c": 49, "50": 50, "cpp": 54}
    assert door.statuses == {"OK": 3, "0": 3, "true": 3, "TLE": 5}


def test_a_map_of_languages_has_the_applications_ids(load_small: Loader) -> None:
    """Where they are not Judge0's."""
    door = load_small((DOOR, f"{DOOR}\n    languages: {{python: 92, c: 1}}")).checks.front_door
    assert door is not None
    assert door.languages == {"python": 92, "c": 1}


def test_a_runner_has_a_form_of_its_own_or_the_front_doors(load_small: Loader) -> None:
    """Each part by itself; headers are never another service's."""
    end = "  runner: {node: api-1, port: 8000, source: web"
    more = f"{DOOR}\n    headers: {{X-Key: front}}\n    languages: [71]\n    statuses: {{OK: 3}}"
    both = ("  judge0: {node", f"{end}, reply: {{status: s}}, headers: {{X-Key: inner}}}}\n  judge0: {{node")
    runner = load_small((DOOR, more), both).checks.runner
    assert runner is not None
    assert (runner.path, runner.request, runner.reply) == ("/run", {"code": "source"}, {"status": "s"})
    assert (runner.headers, runner.languages, runner.statuses) == (
        {"X-Key": "inner"},
        {"python": 71},
        {"OK": 3},
    )


def test_a_runner_can_be_asked_without_a_front_door(load_small: Loader) -> None:
    """If it says itself how."""
    door = (
        "  front_door:\n    node: web\n    path: /run\n    request: {code: source}\n"
        "    reply: {stdout: output.text}\n"
    )
    own = "{node: api-1, port: 8000, source: web, path: /p, request: {c: source}, reply: {stdout: o}}"
    checks = load_small((door, f"  runner: {own}\n")).checks
    assert checks.front_door is None
    assert checks.runner is not None
    assert (checks.runner.path, checks.runner.request) == ("/p", {"c": "source"})


def test_values_of_headers_are_expressions(load_small: Loader) -> None:
    """So that a secret is nowhere written out; a health check may name its own node."""
    health = f"health: {{url: 'http://127.0.0.1:80/', headers: {{X-Node: '{{{{ node.name }}}}:{PASSWORD}'}}}}"
    topology = load_small(
        (DOOR, f'{DOOR}\n    headers: {{Authorization: "Bearer {PASSWORD}-1"}}'),
        (JUDGE0, f'port: 8000, source: web, headers: {{X-Auth-Token: "{PASSWORD}-2"}}}}'),
        ("health: http://127.0.0.1:80/", health),
    )
    deployment = made(topology)
    door, [web] = headers.front_door(topology, deployment), topology.services[:1]
    assert door is not None
    assert door.headers == {"Authorization": "Bearer secret-1"}
    assert headers.judge0(topology, deployment) == {"X-Auth-Token": "secret-2"}
    assert web.health == "http://127.0.0.1:80/"
    assert headers.health(topology, deployment, web, "web") == {"X-Node": "web:secret"}


def test_what_headers_hold_is_masked(load_small: Loader) -> None:
    """Written out or not, in whole or without its scheme; what only says how an answer looks is not."""
    given = "{Authorization: Bearer abcdef, Accept: application/json, X-Key: written-out}"
    topology = load_small((DOOR, f"{DOOR}\n    headers: {given}"))
    assert headers.secrets(topology, made(topology)) == ("Bearer abcdef", "written-out", "abcdef", "secret")


def test_a_value_that_the_deployment_does_not_have_is_an_error(load_small: Loader) -> None:
    """It is found when it is needed, and masks nothing."""
    topology = load_small((JUDGE0, f'port: 8000, source: web, headers: {{X-Auth-Token: "{PASSWORD}"}}}}'))
    empty: Any = Deployment("run", "vpc", "10.0.0.0/20", {}, {})
    with pytest.raises(TopologyError, match="no attribute 'store'") as caught:
        headers.judge0(topology, empty)
    assert caught.value.field == "checks.judge0.headers.X-Auth-Token"
    assert headers.secrets(topology, empty) == ()

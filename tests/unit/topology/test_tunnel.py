"""A TLS tunnel to a database beside an application that cannot speak TLS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.compose import ComposeProject, build_of
from harness.core.errors import TopologyError
from harness.topology import Topology
from harness.topology.rendering import projects
from harness.topology.rendering.imagined import imagined

PORTS = "    ports: [8000, 8001]\n"
TUNNEL = f"{PORTS}    tls_tunnel: {{store: 6379}}\n"
NAME = "store-tls-tunnel"
VALKEY = (
    ("engine: pg", "engine: valkey"),
    ('version: "15"', 'version: "8"'),
    ('ports: "25060"', 'ports: "25061"'),
    ("tcp: [25060]", "tcp: [25061]"),
)

Tunnelled = Callable[..., ComposeProject]


@pytest.fixture
def tunnelled(load_small: Callable[..., Topology], directory: Path) -> Tunnelled:
    """What runs on a droplet of ``api``, with its compose file and its keys in the topology."""

    def make(text: str, keys: str = TUNNEL, *others: tuple[str, str], node: str = "api-1") -> ComposeProject:
        (directory / "app/api/docker-compose.yml").write_text(text)
        topology = load_small((PORTS, keys), *VALKEY, *others)
        return projects.node_project(topology, imagined(topology), topology.services[1], node).project

    return make


def test_the_tunnel_has_the_databases_name_and_address(tunnelled: Tunnelled) -> None:
    """Its CA is the database's, its image is built here, and the application waits until it is healthy."""
    project = tunnelled("services: {a: {image: a, environment: {REDIS_HOST: store}}}")
    assert project.started == ("a", NAME)
    body = project.running()[NAME]
    assert body["networks"]["default"]["aliases"] == ["store"]
    assert body["environment"] == {
        "LISTEN": "6379",
        "HOST": "db.example",
        "PORT": "25061",
        "CA_FILE": "/run/tunnel/ca.pem",
    }
    assert [each["source"] for each in body["volumes"]] == ["./store-ca.pem"]
    assert project.running()["a"]["depends_on"][NAME]["condition"] == "service_healthy"
    build = build_of(project, NAME)
    assert build is not None
    assert (build.context / "Dockerfile").is_file()


def test_nothing_of_the_application_goes_to_the_tunnel(tunnelled: Tunnelled) -> None:
    """No variable and no port; what a port or a variable is meant for is as clear as without it."""
    bodies = tunnelled("services: {a: {image: a}}").running()
    assert "DATABASE_URL" in bodies["a"]["environment"]
    assert "DATABASE_URL" not in bodies[NAME]["environment"]
    assert "ports" not in bodies[NAME]
    assert [each["published"] for each in bodies["a"]["ports"]] == ["8000", "8001"]


RUN = f"{TUNNEL}    run: {{web: [lb], api-1: [a], api-2: [b]}}\n"
THREE = """\
services:
  lb: {image: lb, ports: ["8000:80", "8001:81"]}
  a: {image: a, depends_on: [b]}
  b: {image: b}
"""
EVERYWHERE = (
    ("    droplets: [api]\n    compose", "    droplets: [web, api]\n    compose"),
    (
        'ports: "80", from: [internet]}\n',
        'ports: "80", from: [internet]}\n      - {protocol: tcp, ports: "8000-8001", from: [api]}\n',
    ),
    (
        '"25061", to: [vpc]}\n',
        '"25061", to: [vpc]}\n      - {protocol: tcp, ports: "8000-8001", to: [web]}\n',
    ),
    ("  - {from: api, to: store", "  - {from: api, to: web, tcp: [8000, 8001]}\n  - {from: api, to: store"),
)


@pytest.mark.parametrize(("node", "there"), [("web", False), ("api-1", True)])
def test_it_runs_where_the_database_is_open(tunnelled: Tunnelled, node: str, there: bool) -> None:
    """A load balancer of the same file has none; what ``run`` chooses waits for it, and for nothing else."""
    project = tunnelled(THREE, RUN, *EVERYWHERE, node=node)
    assert (NAME in project.started) == there
    depends: dict[str, Any] = next(iter(project.running().values())).get("depends_on", {})
    assert list(depends) == ([NAME] if there else [])


def test_a_development_database_of_that_name_may_be_left_out(tunnelled: Tunnelled) -> None:
    """What does not run has no name on the network."""
    text = "services: {a: {image: a, depends_on: [store]}, store: {image: redis}}"
    project = tunnelled(text, f"{TUNNEL}    run: [a]\n")
    assert project.started == ("a", NAME)


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("services: {a: {image: a}, store: {image: b}}", "is called 'store', too", "`run`"),
        ("services: {a: {image: a, container_name: store}}", "is called 'store', too", "another name"),
        (
            "services: {a: {image: a, network_mode: host}}",
            "a is in the droplet's own network",
            "network_mode",
        ),
    ],
    ids=["service", "container", "network"],
)
def test_a_name_that_would_not_lead_to_it_is_an_error(
    tunnelled: Tunnelled, text: str, problem: str, remedy: str
) -> None:
    """The application would talk to another one, or to nobody."""
    with pytest.raises(TopologyError) as caught:
        tunnelled(
            text, TUNNEL.replace(PORTS, "    ports: [8000, 8001]\n    publish: {a: ['8000:1', '8001:2']}\n")
        )
    assert caught.value.field == "services.api.tls_tunnel.store"
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("others", "given", "problem", "remedy"),
    [
        ([], "stor: 5432", "no database is called 'stor'", "did you mean 'store'?"),
        ([], "store: 70000", "70000 is out of range", "65535"),
        ([], "store: 1", "no tunnel to pg", "store-ca.pem"),
        (
            [("trusted_sources: [api]", "trusted_sources: [web]")],
            "store: 1",
            "trusts no droplet",
            "add 'api'",
        ),
    ],
    ids=["database", "port", "engine", "trust"],
)
def test_a_tunnel_that_cannot_be_is_an_error(
    load_small: Callable[..., Topology], others: list[tuple[str, str]], given: str, problem: str, remedy: str
) -> None:
    """Before anything is made."""
    with pytest.raises(TopologyError) as caught:
        load_small((PORTS, f"{PORTS}    tls_tunnel: {{{given}}}\n"), *others)
    found = [each for each in getattr(caught.value, "errors", [caught.value]) if problem in each.problem]
    assert len(found) == 1
    assert found[0].field == f"services.api.tls_tunnel.{given.partition(':')[0]}"
    assert remedy in found[0].remedy


def test_a_swarm_has_none(load_swarm: Callable[..., Topology]) -> None:
    """The way from a service to its tunnel would be the overlay network, from droplet to droplet."""
    with pytest.raises(TopologyError, match="without TLS from droplet to droplet") as caught:
        load_swarm(("      replicas: 2\n", "      replicas: 2\n      tls_tunnel: {store: 6379}\n"))
    assert caught.value.field == "swarm.services.api.tls_tunnel"

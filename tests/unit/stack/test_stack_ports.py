"""Ports: those that the topology names, on the node of each task."""

from __future__ import annotations

import pytest
from stack_helpers import a_service, compose, converted, notes_of, refusal, web

from harness.stack.service import ServiceContext
from harness.stack.services import read_source, service_contexts
from harness.stack.steps.ports import Port, published


def a_job(said: str) -> ServiceContext:
    """The context of a compose file with these ports."""
    from stack_helpers import a_source, a_topology

    source = a_source(compose(f"ports: [{said}]"))
    (context,) = service_contexts(a_topology(source.service), source, read_source(source), ipvs=False)
    return context


@pytest.mark.parametrize(
    ("said", "ports"),
    [
        ("80", [("80", 80, None, "tcp", "")]),
        ("'8080:80'", [("8080:80", 80, 8080, "tcp", "")]),
        ("'53:5353/udp'", [("53:5353/udp", 5353, 53, "udp", "")]),
        ("'127.0.0.1:8080:80'", [("127.0.0.1:8080:80", 80, 8080, "tcp", "127.0.0.1")]),
        ("'127.0.0.1::80'", [("127.0.0.1::80", 80, None, "tcp", "127.0.0.1")]),
        ("'[::1]:8080:80'", [("[::1]:8080:80", 80, 8080, "tcp", "::1")]),
        ("'80-81:90-91'", [("80:90", 90, 80, "tcp", ""), ("81:91", 91, 81, "tcp", "")]),
        ("'8000-9000:80'", [("8000-9000:80", 80, None, "tcp", "")]),
        ("{target: 80, published: 8080, host_ip: '::1'}", [("[::1]:8080:80", 80, 8080, "tcp", "::1")]),
        ("{target: 80, published: '8080', protocol: udp}", [("8080:80/udp", 80, 8080, "udp", "")]),
        ("8080:80", [("8080:80", 80, 8080, "tcp", "")]),
    ],
)
def test_every_way_of_writing_a_port_is_read(
    said: str, ports: list[tuple[str, int, int | None, str, str]]
) -> None:
    """Short and long, with host, protocol and ranges."""
    assert list(published(a_job(said))) == [Port(*each) for each in ports]


@pytest.mark.parametrize(
    "said", ["eighty", "'1-2:3-5'", "{published: 80}", "{target: 80, color: red}", "'80:x'"]
)
def test_what_is_no_port_is_refused(said: str) -> None:
    """With its place."""
    assert refusal(compose(f"ports: [{said}]")).field in ("services.web.ports", "services.web.ports.color")


def test_the_topologys_ports_are_published_where_the_tasks_are() -> None:
    """In mode host, to what the compose file maps them to."""
    body, stack = web("ports: ['8080:80']", a_service(ports=(8080, 443)))
    assert body["ports"] == [
        {"target": 80, "published": 8080, "protocol": "tcp", "mode": "host"},
        {"target": 443, "published": 443, "protocol": "tcp", "mode": "host"},
    ]
    assert notes_of(stack, "ports") == []


def test_a_compose_files_other_ports_are_not() -> None:
    """Services reach each other by name; the note says by which."""
    body, stack = web("ports: ['2358:80', '53:53/udp']")
    assert "ports" not in body
    one, other = notes_of(stack, "ports")
    assert "2358:80 is not published; services reach it as web:80" in one
    assert "web:53/udp" in other


def test_a_port_that_was_for_the_host_alone_is_told() -> None:
    """A swarm would open it on every address."""
    _, stack = web("ports: ['127.0.0.1:8080:80']", a_service(ports=(8080,)))
    assert "on all of a node's addresses" in notes_of(stack, "ports")[0]


def test_a_port_goes_to_the_container_that_has_it() -> None:
    """Not to the main one, where another of the file publishes it."""
    text = "services: {web: {image: w}, admin: {image: a, ports: ['9000:80']}}"
    services = converted(text, a_service(ports=(9000, 80))).document["services"]
    assert [each["published"] for each in services["web"]["ports"]] == [80]
    assert services["web-admin"]["ports"][0]["target"] == 80


def test_a_port_of_a_container_that_is_left_out_is_the_main_ones() -> None:
    """Nobody else could publish it."""
    text = "services: {web: {image: w}, admin: {image: a, ports: ['80:80'], profiles: [x]}}"
    services = converted(text, a_service(ports=(80,))).document["services"]
    assert services["web"]["ports"][0]["published"] == 80


def test_a_port_that_no_container_has_is_refused() -> None:
    """Where none is the main one, nobody knows whose it is."""
    error = refusal("services: {a: {image: a}, b: {image: b}}", a_service(ports=(80,)))
    assert "swarm.services.web.ports" in str(error)


def test_more_tasks_than_nodes_cannot_publish() -> None:
    """A port of a node is taken once."""
    error = refusal(compose(""), a_service(ports=(80,), replicas=3))
    assert "ask for 2 at most" in error.remedy


@pytest.mark.parametrize(("replicas", "order"), [(1, "start-first"), (2, "stop-first")])
def test_an_update_finds_a_node_with_the_port_free(replicas: int, order: str) -> None:
    """Where every node has a task already, the old one must stop first."""
    body, stack = web("", a_service(ports=(80,), replicas=replicas))
    assert body["deploy"]["update_config"]["order"] == order
    assert bool(notes_of(stack, "deploy.update_config.order")) == (order == "stop-first")

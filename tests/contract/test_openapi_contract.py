"""Every answer of the API is one that DigitalOcean's OpenAPI document allows."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest
from drivers import ApiDriver
from openapi import OpenApi

from emulator.api.app import all_routes

IMPLEMENTED = sorted(route.operation for route in all_routes() if route.operation)


@pytest.mark.parametrize("operation", IMPLEMENTED)
def test_answers_conform(operation: str, toured: ApiDriver, document: OpenApi) -> None:
    """Status and body of every answer on the tour are the document's, and none is an error."""
    answers = [answer for answer in toured.answers if answer.operation == operation]
    assert answers, "the tour does not visit it"
    for answer in answers:
        assert 200 <= answer.status < 300, f"{answer.request}: {answer.status} {answer.body}"
        complaints = list(document.complaints(operation, answer.status, answer.body))
        assert not complaints, f"{answer.request}\n" + "\n".join(complaints)


@pytest.mark.parametrize("operation", IMPLEMENTED)
def test_routes_are_the_documents(operation: str, document: OpenApi) -> None:
    """Method and path of every route are those of its operation."""
    route = next(route for route in all_routes() if route.operation == operation)
    assert [route.method, route.path, operation] in document.rows()


def test_the_shipped_list_of_operations_is_the_documents(document: OpenApi) -> None:
    """What answers 501 instead of 404 is read from a list that is the document's own."""
    shipped = json.loads(files("emulator.api").joinpath("operations.json").read_text())
    assert shipped == document.rows()


@pytest.mark.parametrize("operation", [r.operation for r in all_routes() if r.operation and "{" in r.path])
def test_unknown_ids_are_not_found_as_documented(
    operation: str, driver: ApiDriver, document: OpenApi
) -> None:
    """A resource that does not exist is a 404 with the documented error body."""
    route = next(route for route in all_routes() if route.operation == operation)
    names = re.findall(r"{(\w+)}", route.path)
    unknown = dict.fromkeys(names, "00000000-0000-4000-8000-000000000000")
    body = BODIES.get(operation)
    driver(operation, body, **unknown)
    answer = driver.answers[-1]
    assert answer.status == 404, answer
    assert not list(document.complaints(operation, 404, answer.body))
    assert answer.body["request_id"] == answer.headers["x-request-id"]


RULE = {"protocol": "tcp", "ports": "22", "sources": {"addresses": ["0.0.0.0/0"]}}
PROJECT = {"name": "a", "description": "b", "purpose": "c", "environment": "Staging", "is_default": False}
BODIES = {
    "vpcs_update": {"name": "a"},
    "sshKeys_update": {"name": "a"},
    "dropletActions_post": {"type": "reboot"},
    "firewalls_update": {"name": "a", "inbound_rules": [RULE]},
    "projects_update": PROJECT,
    "databases_update_autoscale": {"storage": {"enabled": True}},
}


@pytest.mark.parametrize("operation", IMPLEMENTED)
def test_headers_are_those_of_every_answer(operation: str, toured: ApiDriver) -> None:
    """Rate limits are whole numbers, and every answer has an id of its own."""
    answers = [answer for answer in toured.answers if answer.operation == operation]
    for answer in answers:
        for name in ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"):
            assert answer.headers[name].isdigit()
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)

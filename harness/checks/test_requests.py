"""The application's own requests at its front door, as ``checks.requests`` has them: one check for each.

They are made in order, as one visitor whose cookies are kept; those before a chosen one are made as well.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from functools import partial

import pytest

from harness.judge0 import frontdoor
from harness.run.session import Session
from harness.topology.model import FrontDoor
from harness.topology.rendering.requests import evaluated
from harness.verify.requests import Visit, labels


@pytest.fixture(scope="session")
def nonce() -> str:
    """A word that no earlier run has used."""
    return f"wt{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def visit(session: Session, door: FrontDoor, nonce: str) -> Iterator[Visit]:
    """The requests of one visitor, and how they were answered."""
    address = session.deployment.nodes[door.node].public_ip or ""
    with frontdoor.open_client(session.target, address, door) as client:
        yield Visit(client, partial(evaluated, session.topology, session.deployment, nonce=nonce))


def test_request_is_answered(app_request: str, session: Session, visit: Visit) -> None:
    """With the status, and at least the JSON, that the topology says."""
    number = labels(session.topology.checks.requests).index(app_request)
    visit.require_answer(number)

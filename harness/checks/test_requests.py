"""The application's own requests at its front door, as ``checks.requests`` has them: one check for each.

They are made in order, as one visitor whose cookies are kept.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import httpx
import pytest

from harness.judge0 import frontdoor
from harness.run.session import Session
from harness.topology.model import FrontDoor
from harness.topology.rendering.requests import evaluated
from harness.verify.requests import labels, require_answer


@pytest.fixture(scope="session")
def nonce() -> str:
    """A word that no earlier run has used."""
    return f"wt{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def visitor(session: Session, door: FrontDoor) -> Iterator[httpx.Client]:
    """A client that keeps its cookies from one request to the next."""
    address = session.deployment.nodes[door.node].public_ip or ""
    with frontdoor.open_client(session.target, address, door) as client:
        yield client


def test_request_is_answered(app_request: str, session: Session, nonce: str, visitor: httpx.Client) -> None:
    """With the status, and at least the JSON, that the topology says."""
    number = labels(session.topology.checks.requests).index(app_request)
    require_answer(visitor, evaluated(session.topology, session.deployment, number, nonce))

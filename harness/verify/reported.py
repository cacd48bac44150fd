"""What the API reports about a deployment's network, and where that differs from its topology."""

from __future__ import annotations

from harness.existing import admits
from harness.existing.view import look
from harness.firewall.from_api import Documents, ask
from harness.isolation.drift import Drift, drift
from harness.run.session import Session
from harness.target.api import Api


def reported(session: Session) -> Documents:
    """What the API says of everything that bears on the deployment's network, now."""
    if session.choice.place:
        return look(session.target, session.topology, session.choice.place).told
    with Api(session.target, read_only=True) as api:
        return ask(api, session.choice.run)


def drift_of(session: Session, documents: Documents) -> tuple[Drift, ...]:
    """Where that is not as the topology says; for an existing deployment, whatever things are called."""
    if session.choice.place:
        return admissions(session, documents)
    return drift(session.topology, session.choice.run, session.target.operators, documents)


def admissions(session: Session, documents: Documents) -> tuple[Drift, ...]:
    """Where all firewalls and trusted sources together let through other than the topology's would."""
    return admits.admissions(session.topology, session.choice.run, session.target.operators, documents)

"""Each database lets in exactly the droplets it should, over TLS with its own CA, and nobody else.

A droplet that should be admitted logs in, correctly and in every wrong way. Any other does not even get
a TCP connection, and a control that must answer shows that the droplet's probes work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from harness.access.ssh import Access
from harness.core.errors import InconclusiveError
from harness.run.session import Session
from harness.target.api import Api
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology
from harness.verify.databases import trust
from harness.verify.databases import users as logins
from harness.verify.databases.login import Attempt
from harness.verify.databases.trust import Case, Endpoint
from harness.verify.disturbing import Note
from harness.verify.network.probe import Address, State, from_here, from_node, require_control

SSH = 22

Attempts = Mapping[tuple[str, Endpoint], Mapping[Case, Attempt]]
Observations = Callable[[str], dict[Address, State]]


@dataclass(frozen=True)
class Probes:
    """What droplets, by name, and this machine find at the databases, once it is known."""

    inside: Mapping[str, Future[dict[Address, State]]]
    outside: Future[dict[Address, State]]


@pytest.mark.existing("login")
def test_trusted_droplet_logs_in(database: str, attempts: Attempts, note: Note) -> None:
    """Over TLS, verified by the cluster's CA and host name, its credentials open a session that answers."""
    note(require_expected(database, "right", attempts))


def test_wrong_password_is_refused(database: str, attempts: Attempts, note: Note) -> None:
    """By the database itself, with its own error."""
    note(require_expected(database, "password", attempts))


def test_no_session_without_tls(database: str, attempts: Attempts, note: Note) -> None:
    """A client in plain text is not even asked for a password."""
    note(require_expected(database, "plain", attempts))


def test_another_authority_is_not_believed(database: str, attempts: Attempts, note: Note) -> None:
    """The certificate is of the cluster's CA: a client that trusts only another CA refuses it."""
    note(require_expected(database, "authority", attempts))


def test_another_name_is_not_believed(database: str, attempts: Attempts, note: Note) -> None:
    """The certificate is for the cluster's host name, and for no other."""
    note(require_expected(database, "name", attempts))


@pytest.mark.existing("login")
def test_only_trusted_droplets_connect(
    database: str, observed: Observations, endpoints: tuple[Endpoint, ...], topology: Topology
) -> None:
    """At either endpoint: droplets that the topology admits, and nobody else; all others get no answer."""
    wrong = [
        f"{node} finds {endpoint} {observed(node)[endpoint.address]}"
        for node in topology.droplets
        for endpoint in endpoints
        if endpoint.database == database
        and (observed(node)[endpoint.address] == "open") != trust.admits(topology, node, endpoint)
    ]
    assert wrong == [], "; ".join(wrong)
    closed = {
        (node, str(endpoint))
        for node in topology.droplets
        for endpoint in endpoints
        if observed(node)[endpoint.address] == "closed"
    }
    assert closed == set(), "reachable, if not served"


def test_nobody_else_may_log_in(
    database: str, access: Access, deployment: Deployment, topology: Topology, api: Api, note: Note
) -> None:
    """The database's own users are those that the API lists, and all of them need a password."""
    node, cluster = topology.databases[database].trusted_sources[:1], deployment.databases[database]
    if not node:
        pytest.skip(f"{database} trusts no droplet, so it cannot be asked")
    users = api.client.databases.list_users(cluster.id).get("users") or ()
    found = logins.of(access, node[0], cluster)
    note(", ".join(each.name for each in found))
    foreign = logins.foreign(found, cluster, [each["name"] for each in users])
    assert not foreign, "; ".join(foreign)


@pytest.mark.existing("login")
def test_internet_does_not_connect(
    database: str, outside: Mapping[Address, State], endpoints: tuple[Endpoint, ...]
) -> None:
    """From outside, the public endpoint does not answer, while the bastion does."""
    public = [each.address for each in endpoints if (each.database, each.side) == (database, "public")]
    assert {address: outside[address] for address in public} == dict.fromkeys(public, "filtered")


def require_expected(database: str, case: Case, attempts: Attempts) -> str:
    """Every log-in of ``case`` to ``database`` ended as expected; returns the descriptions."""
    mine = {key: tried for key, tried in attempts.items() if key[1].database == database}
    if not mine:
        pytest.skip(f"the topology admits nobody to {database}")
    if case != "right":
        doubtful = [f"{node} to {endpoint}" for (node, endpoint), tried in mine.items() if case not in tried]
        if doubtful:
            raise InconclusiveError(f"no log-in works, so no refusal says anything: {', '.join(doubtful)}")
    wrong = [
        f"{node} to {endpoint}: {tried[case]}"
        for (node, endpoint), tried in mine.items()
        if not trust.is_expected(case, tried[case])
    ]
    assert wrong == [], "; ".join(wrong)
    return "; ".join(f"{node} to {endpoint}: {tried[case]}" for (node, endpoint), tried in mine.items())


@pytest.fixture(scope="session")
def endpoints(access: Access, deployment: Deployment, topology: Topology) -> tuple[Endpoint, ...]:
    """Both endpoints of every database."""
    return trust.endpoints(access, deployment, topology)


@pytest.fixture(scope="session")
def attempts(
    access: Access,
    deployment: Deployment,
    topology: Topology,
    endpoints: tuple[Endpoint, ...],
    session: Session,
    passwords: tuple[str, ...],
) -> Attempts:
    """The outcome of every log-in, from every droplet that should be admitted; only right ones at others'."""
    wrong = session.choice.place is None
    wanted = [
        (node, endpoint)
        for node in topology.droplets
        for endpoint in endpoints
        if trust.admits(topology, node, endpoint)
    ]

    def log_in(key: tuple[str, Endpoint]) -> Mapping[Case, Attempt]:
        node, endpoint = key
        return trust.attempts(access, node, deployment.databases[endpoint.database], endpoint, wrong=wrong)

    with ThreadPoolExecutor(8) as pool:
        return dict(zip(wanted, pool.map(log_in, wanted), strict=True))


@pytest.fixture(scope="session")
def probes(
    target: Target,
    access: Access,
    deployment: Deployment,
    topology: Topology,
    endpoints: tuple[Endpoint, ...],
) -> Iterator[Probes]:
    """Probes of each endpoint from each droplet and from here, all at once: most wait for no answer."""

    def from_one(node: str) -> dict[Address, State]:
        try:
            known = trust.control(deployment, topology, node, endpoints)
        except LookupError as error:
            raise InconclusiveError(str(error)) from None
        found = from_node(access, node, [known, *(each.address for each in endpoints)])
        require_control(found, known, node)
        return found

    def from_outside() -> dict[Address, State]:
        bastion = (deployment.nodes[topology.management.bastion].public_ip or "", SSH)
        found = from_here(target, [bastion, *(each.address for each in endpoints if each.side == "public")])
        require_control(found, bastion, "this machine")
        return found

    with ThreadPoolExecutor(len(topology.droplets) + 1) as pool:
        outside = pool.submit(from_outside)
        yield Probes({node: pool.submit(from_one, node) for node in topology.droplets}, outside)


@pytest.fixture(scope="session")
def observed(probes: Probes) -> Observations:
    """What each droplet finds at each endpoint."""
    return lambda node: probes.inside[node].result()


@pytest.fixture(scope="session")
def outside(probes: Probes) -> Mapping[Address, State]:
    """What this machine finds at the public endpoints."""
    return probes.outside.result()

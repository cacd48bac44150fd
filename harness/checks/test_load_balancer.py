"""Judge0's load balancer: each server takes its share, and one that loses power costs no request."""

from __future__ import annotations

import pytest

from harness.access.ssh import Access
from harness.core.errors import CheckFailedError, InconclusiveError
from harness.faults.steady import is_json_object
from harness.judge0.route import to_judge0
from harness.run.session import Session
from harness.topology.model import Judge0Endpoint, Topology
from harness.verify.balancer import request_counts
from harness.verify.balancer.balance import Balance, enough, wrong
from harness.verify.balancer.nginx import NGINX_CONFIG, parse
from harness.verify.balancer.upstreams import upstream_droplets, upstreams_of
from harness.verify.disturbing import Note, Work
from harness.verify.outage import Outage

pytestmark = pytest.mark.needs("server")


@pytest.fixture(scope="session")
def endpoint(topology: Topology) -> Judge0Endpoint:
    """Where Judge0 is asked."""
    assert topology.checks.judge0 is not None
    return topology.checks.judge0


@pytest.fixture(scope="session")
def balance(endpoint: Judge0Endpoint, session: Session, access: Access) -> Balance:
    """The running nginx's configuration of the servers."""
    config = access.run(endpoint.node, NGINX_CONFIG)
    found = [each for each in parse(config) if set(each.weights) & set(upstreams_of(session).servers)]
    if not found:
        raise InconclusiveError(f"nginx -T on {endpoint.node} shows no upstream with the servers in it")
    return found[0]


@pytest.fixture
def outage(server: str, endpoint: Judge0Endpoint, work: Work, note: Note) -> Outage:
    """The outage of one server."""
    found = work.outage((server,))
    note(str(found))
    return found


def test_requests_are_shared_out_as_configured(
    balance: Balance, session: Session, access: Access, note: Note
) -> None:
    """Each server answers its share: exactly in round robin, within a stated bound for random methods."""
    with to_judge0(session) as client:
        counts, source = request_counts.count(client, access, upstreams_of(session), enough(balance))
    note(f"{dict(counts)} by {source}; {balance.method}, {dict(balance.weights)}")
    assert wrong(balance, counts) == "", source


@pytest.mark.disturbs
def test_a_dead_server_costs_no_request(outage: Outage, note: Note) -> None:
    """Of the requests made once it had no power, every one is answered, and none waits for long."""
    begun = [each for each in outage.requests if outage.times.in_force <= each.begun <= outage.times.healing]
    if len(begun) < 20:
        raise InconclusiveError(f"only {len(begun)} requests were made: {outage}")
    slowest = max(each.ended - each.begun for each in begun)
    note(f"{len(begun)} requests, the slowest took {slowest:.1f} s")
    assert [f"{each.code} {each.said}" for each in begun if each.code != 200] == [], str(outage)


@pytest.mark.disturbs
def test_a_server_that_is_back_takes_its_share(outage: Outage) -> None:
    """Within its deadline it answers what its weight gives it."""
    assert outage.share == "", str(outage)


@pytest.mark.disturbs
def test_a_server_that_comes_back_costs_no_request(outage: Outage) -> None:
    """While it starts, it takes nothing that it cannot answer."""
    begun = [each for each in outage.requests if outage.times.healing <= each.begun]
    assert [f"{each.code} {each.said}" for each in begun if each.code != 200] == [], str(outage)


@pytest.mark.disturbs
def test_without_servers_the_balancer_says_so(
    endpoint: Judge0Endpoint, topology: Topology, work: Work, note: Note
) -> None:
    """With all of them off, it answers at once, with an error in JSON."""
    outage = work.outage(upstream_droplets(topology))
    begun = [
        each
        for each in outage.requests
        if outage.times.in_force <= each.begun and each.ended <= outage.times.healing
    ]
    if not begun:
        raise CheckFailedError(f"no answer while power was off: {outage}")
    slowest = max(each.ended - each.begun for each in begun)
    note(
        f"{len(begun)} requests, the slowest took {slowest:.1f} s: {begun[-1].code} {begun[-1].said.strip()}"
    )
    wrong = [f"{each.code} {each.said}" for each in begun if each.code < 500 or not is_json_object(each.said)]
    assert wrong == [], str(outage)

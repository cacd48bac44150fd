"""How many requests each server of a load balancer answered, read from headers, logs or connections."""

from __future__ import annotations

import secrets
from collections import Counter

import httpx

from harness.access.ssh import Access
from harness.core.errors import InconclusiveError, WaitTimeoutError
from harness.core.wait import NotYet, wait_for
from harness.verify.balancer import connections
from harness.verify.balancer.balance import took
from harness.verify.balancer.upstreams import Upstreams

PATH = "/version"
LOG_SECONDS = 3.0
# Connections of others, and ports that are used again while the kernel still lists them, may be a few; where
# nginx keeps connections open there are far fewer than requests.
ATTEMPTS, STRAY = 3, 0.02

# From the first marked line to the last: requests of others in between count in the round robin, too.
MARKED = """\
for each in $(docker ps -q); do docker logs --since 120s "$each" 2>&1; done \
  | sed -n '/{mark}-0[^0-9]/,/{mark}-{last}[^0-9]/p'"""
COUNTED = (
    'for each in $(docker ps -q); do docker logs --since 120s "$each" 2>&1; done | grep -c {mark} || true'
)


def count(client: httpx.Client, access: Access, found: Upstreams, number: int) -> tuple[Counter[str], str]:
    """Send ``number`` requests, one by one; returns how many each server answered, and the source of that.

    Where no log and no header shows it, as many are sent again and their connections counted, up to three
    times. Raises ``InconclusiveError`` where nothing shows it.
    """
    balancer, servers = found.balancers[0], found.servers
    mark = f"wt{secrets.token_hex(6)}"
    answers = _send(client, mark, number)
    if counts := _in_log(access, balancer, tuple(servers), mark, number):
        return counts, f"the log on {balancer}"
    headers = took((" ".join(answer.headers.values()) for answer in answers), tuple(servers))
    if headers.total() == number:
        return headers, "a header of the answers"
    counts = Counter(
        {each: int(access.run(node, COUNTED.format(mark=mark))) for each, node in servers.items()}
    )
    if counts.total() == number:
        return counts, "the logs on the servers"
    for _ in range(ATTEMPTS):
        before = connections.listed(access, found)
        _send(client, mark, number)
        counts = connections.opened(before, connections.listed(access, found))
        if abs(counts.total() - number) <= STRAY * number:
            return counts, f"the connections from {balancer} to each, a new one for each request"
    raise InconclusiveError(
        f"nothing shows which server answered: let nginx on {balancer} log $upstream_addr to standard output"
    )


def _send(client: httpx.Client, mark: str, number: int) -> list[httpx.Response]:
    """Send marked requests. Raises ``InconclusiveError`` where one is not answered with 200."""
    answers = [client.get(PATH, params={"wt": f"{mark}-{each}"}) for each in range(number)]
    refused = [answer.status_code for answer in answers if answer.status_code != 200]
    if refused:
        raise InconclusiveError(f"{len(refused)} of {number} requests were answered with {refused[0]}")
    return answers


def _in_log(
    access: Access, balancer: str, servers: tuple[str, ...], mark: str, number: int
) -> Counter[str] | None:
    def probe() -> Counter[str]:
        lines = access.run(balancer, MARKED.format(mark=mark, last=number - 1)).splitlines()
        marked = took((line for line in lines if mark in line), servers)
        if marked.total() < number:
            raise NotYet(f"{marked.total()} of {number} requests")
        return took(lines, servers)

    try:
        return wait_for("the balancer's log", probe, deadline=LOG_SECONDS)
    except WaitTimeoutError:
        return None

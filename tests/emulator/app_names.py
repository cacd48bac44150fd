"""What tests of names and moves share: a balancer that follows a name, and requests that go on meanwhile."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
from docker.models.containers import Container
from judge0_stack import APP, Stack

from harness.core.wait import NotYet, wait_for

SWARM_CONF = APP / "judge0-lb/nginx.swarm.conf.j2"


@contextmanager
def balancer(stack: Stack) -> Iterator[tuple[Container, httpx.Client]]:
    """The load balancer as a swarm has it, and a client that makes a connection for each request."""
    with (
        stack.service("judge0-lb", {}, {"nginx.conf": SWARM_CONF.read_bytes()}) as container,
        connecting(f"http://{stack.address(container)}:2358") as client,
    ):
        yield container, client


@contextmanager
def connecting(url: str, *, timeout: float = 60) -> Iterator[httpx.Client]:
    """A client that makes a connection for each request."""
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=url, timeout=timeout, limits=limits) as client:
        yield client


def asked(answer: httpx.Response) -> list[str]:
    """The servers that the balancer tried for this answer, in turn."""
    return [each.strip() for each in answer.headers["x-upstream"].split(",")]


def shares(client: httpx.Client, requests: int) -> Counter[str]:
    """How many of so many requests each server answered. All of them must be answered well."""
    return Counter(asked(client.get("/version").raise_for_status())[-1] for _ in range(requests))


def wait_until_known(client: httpx.Client, *addresses: str) -> None:
    """Until these answer through the balancer and no others."""

    def probe() -> None:
        try:
            found = {asked(client.get("/version"))[-1] for _ in range(6)}
        except httpx.TransportError as error:
            raise NotYet(repr(error)) from error
        if found != {f"{address}:2358" for address in addresses}:
            raise NotYet(str(found))

    wait_for(f"the balancer to lead to {addresses}", probe, deadline=30)


def wait_for_answer(client: httpx.Client, path: str, status: int = 200) -> httpx.Response:
    """The first answer with this status."""

    def probe() -> httpx.Response:
        try:
            answer = client.get(path)
        except httpx.TransportError as error:
            raise NotYet(repr(error)) from error
        if answer.status_code != status:
            raise NotYet(f"{answer.status_code} {answer.text}")
        return answer

    return wait_for(f"{client.base_url}{path} to answer {status}", probe, deadline=60)


def wait_until_listening(address: str, port: int) -> None:
    """Until connections can be made."""

    def probe() -> None:
        try:
            socket.create_connection((address, port), timeout=5).close()
        except OSError as error:
            raise NotYet(repr(error)) from error

    wait_for(f"{address}:{port} to take connections", probe, deadline=60)


def wait_until_working(client: httpx.Client, slots: int) -> None:
    """Until so many slots are at work."""

    def probe() -> None:
        found = client.get("/workers").raise_for_status().json()
        if not found or found[0]["working"] != slots:
            raise NotYet(str(found))

    wait_for(f"{slots} slots to be at work", probe, deadline=60)


class Going:
    """Calls `act` in some threads over and over; what it raises counts as a failure."""

    def __init__(self, act: Callable[[], object], *, threads: int) -> None:
        self._act, self._over = act, threading.Event()
        self._count = 0
        self._pool = ThreadPoolExecutor(threads)
        self._runs: list[Future[list[str]]] = [self._pool.submit(self._run) for _ in range(threads)]

    def _run(self) -> list[str]:
        failures = []
        while not self._over.is_set():
            try:
                self._act()
            except (httpx.HTTPError, AssertionError) as error:
                failures.append(repr(error))
            self._count += 1
        return failures

    def wait_for(self, more: int) -> None:
        """Until so many more calls have ended."""
        wanted = self._count + more

        def probe() -> None:
            if self._count < wanted:
                raise NotYet(f"{wanted - self._count} of {more} are left")

        wait_for(f"{more} more requests", probe, deadline=60)

    def stop(self) -> list[str]:
        """Begin nothing more; returns the failures."""
        self._over.set()
        failures = [failure for run in self._runs for failure in run.result()]
        self._pool.shutdown()
        return failures


@contextmanager
def going(act: Callable[[], object], *, threads: int = 2) -> Iterator[Going]:
    """`act` over and over, in the background, until the block ends. Fails where any of it failed."""
    found = Going(act, threads=threads)
    try:
        yield found
    except BaseException:
        found.stop()
        raise
    failures = found.stop()
    assert failures == [], f"{len(failures)} failed: {failures[:3]}"

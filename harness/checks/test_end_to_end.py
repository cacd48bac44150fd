"""Code from the client is run, and its output comes back: client, runner, load balancer, server, worker."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from harness.access.ssh import Access
from harness.core.errors import InconclusiveError
from harness.core.wait import NotYet, wait_for
from harness.judge0 import frontdoor
from harness.judge0.api import COMPILATION_ERROR, STATUSES
from harness.judge0.programs import COMPILED, broken, failing, sleeping
from harness.run.session import Session
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import FrontDoor, Scheme, Topology
from harness.verify.balancer import connections
from harness.verify.balancer.nginx import NGINX_CONFIG
from harness.verify.balancer.upstreams import upstreams_of

UPSTREAM = "$upstream_addr"
SEVERAL = 5  # programs: more than a health check connects in their time


@pytest.mark.existing("requests")
def test_page_is_served(scheme: Scheme, target: Target, deployment: Deployment, door: FrontDoor) -> None:
    """The client's page comes wherever the internet may ask for it, by HTTP and by TLS.

    What does not speak the front door's own scheme may lead there instead.
    """
    host = deployment.nodes[door.node].public_ip or ""
    with frontdoor.open_client(target, host, door, scheme=scheme) as client:
        answer = client.get("/")
    if scheme != door.scheme and answer.is_redirect:
        assert urlsplit(answer.headers["location"]).scheme == door.scheme
        return
    assert answer.status_code == 200
    assert "text/html" in answer.headers["content-type"]


@pytest.mark.existing("requests")
def test_program_is_run(language_name: str, front_door: httpx.Client, door: FrontDoor) -> None:
    """A program in each language is Accepted, and its output is right."""
    frontdoor.double(front_door, door, language_name, random.randrange(10**6))


@pytest.mark.needs("https")
@pytest.mark.existing("requests")
def test_program_is_run_over_https(target: Target, deployment: Deployment, door: FrontDoor) -> None:
    """The same over TLS."""
    host = deployment.nodes[door.node].public_ip or ""
    with frontdoor.open_client(target, host, door, scheme="https") as client:
        frontdoor.double(client, door, frontdoor.main_language(door), 21)


@pytest.mark.needs("stderr")
def test_failing_program_is_shown_what_it_said(front_door: httpx.Client, door: FrontDoor) -> None:
    """A program that ends with an error is one of the Runtime Errors, with its standard error."""
    text, language = f"wt{secrets.token_hex(6)}", frontdoor.main_language(door)
    answer = frontdoor.submit(front_door, door, language, failing(language, text))
    assert answer.status.startswith("Runtime Error"), answer.reply
    assert text in str(answer.found.get("stderr")), answer.reply


@pytest.mark.needs("compile_output", "compiled")
def test_broken_program_is_shown_what_its_compiler_said(front_door: httpx.Client, door: FrontDoor) -> None:
    """A program that does not compile ends in Compilation Error, with what the compiler said."""
    text = f"wt{secrets.token_hex(6)}"
    language = next(each for each in frontdoor.languages(door) if each in COMPILED)
    answer = frontdoor.submit(front_door, door, language, broken(text))
    assert answer.status == STATUSES[COMPILATION_ERROR], answer.reply
    assert text in str(answer.found.get("compile_output")), answer.reply


@pytest.mark.needs("history", "token")
@pytest.mark.existing("requests")
def test_runner_keeps_a_history(front_door: httpx.Client, door: FrontDoor) -> None:
    """The submission is found again in the runner's history: the second hop, and its database."""
    answer = frontdoor.double(front_door, door, frontdoor.main_language(door), 7)
    assert answer.token in front_door.get(door.history).text


@pytest.mark.needs("judge0")
@pytest.mark.existing("login")
def test_load_balancer_passes_it_to_a_server(
    front_door: httpx.Client, door: FrontDoor, session: Session, access: Access
) -> None:
    """The load balancer's log names a server's inner address for it, or it opens connections for several.

    That is the third and fourth hop.
    """
    found = upstreams_of(session)
    before = upstreams(access, found.balancers)
    frontdoor.double(front_door, door, frontdoor.main_language(door), 8)
    after = upstreams(access, found.balancers)
    counted = [each for each in found.servers if after.count(each) > before.count(each)]
    counted = counted or sorted(
        +connections.opened_by(access, found, partial(several, front_door, door), SEVERAL)
    )
    if not counted and not any(UPSTREAM in access.run(node, NGINX_CONFIG) for node in found.balancers):
        raise InconclusiveError(
            f"nothing shows which server answered: let nginx on {', '.join(found.balancers)} log {UPSTREAM} "
            "to standard output"
        )
    assert counted != []


@pytest.mark.needs("workers")
@pytest.mark.existing("login")
def test_worker_runs_it(
    front_door: httpx.Client, door: FrontDoor, topology: Topology, access: Access
) -> None:
    """While it runs, the program is a process on a worker, and on no other machine: the fifth hop."""
    endpoint = topology.checks.judge0
    assert endpoint is not None
    nap, language = f"4.0{secrets.randbelow(10**8):08d}", frontdoor.main_language(door)
    with ThreadPoolExecutor(1) as pool:
        source = sleeping(language, nap, "slept")
        answer = pool.submit(frontdoor.submit, front_door, door, language, source)
        try:
            nodes = wait_for("the program to run", lambda: running_on(access, topology, nap), deadline=20)
        finally:
            result = answer.result()
    assert result.status == "Accepted", result.reply
    assert nodes <= set(endpoint.workers)


def several(front_door: httpx.Client, door: FrontDoor) -> None:
    """Some programs, one after the other."""
    for number in range(SEVERAL):
        frontdoor.double(front_door, door, frontdoor.main_language(door), number)


def upstreams(access: Access, nodes: Sequence[str]) -> str:
    """The logs of the containers on the load balancer's nodes."""
    script = 'for each in $(docker ps -q); do docker logs "$each" 2>&1; done'
    return "".join(access.run(node, script) for node in nodes)


def running_on(access: Access, topology: Topology, nap: str) -> set[str]:
    """The nodes that have a process with ``nap`` on its command line. Raises ``NotYet`` if there is none."""
    hidden = f"[{nap[0]}]{nap[1:].replace('.', '[.]')}"  # so that the search does not find itself
    script = f"grep -alE '{hidden}' /proc/[0-9]*/cmdline 2>/dev/null || true"
    with ThreadPoolExecutor(len(topology.droplets)) as pool:
        outputs: dict[str, Any] = dict(
            zip(
                topology.droplets,
                pool.map(lambda node: access.run(node, script), topology.droplets),
                strict=True,
            )
        )
    found = {node for node, text in outputs.items() if text.strip()}
    if not found:
        raise NotYet("no such process on any node")
    return found

"""The fixtures of the checks. The plugin loads them only where there is a deployment to check."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from harness.access.ssh import Access
from harness.core.paths import CHECKS
from harness.isolation.bar import bar
from harness.isolation.model import OUTSIDERS
from harness.isolation.prove import Proof, prove
from harness.isolation.section import section
from harness.judge0 import frontdoor
from harness.judge0.client import Judge0
from harness.judge0.route import to_judge0
from harness.provision import machine_images
from harness.provision.machine_images import Machine, inspect_all
from harness.run.session import Session
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import FrontDoor, Topology
from harness.verify.stash import SECTIONS, SESSION

Remark = Callable[[str], None]

SOURCE = "probe_source"


def _session(request: pytest.FixtureRequest) -> Session:
    # Not by the fixture: users' own checks may have another one called ``session``, as of a database.
    return request.config.stash[SESSION]


@pytest.fixture(scope="session")
def session(request: pytest.FixtureRequest) -> Session:
    """All of the following in one."""
    return _session(request)


@pytest.fixture(scope="session")
def setup(request: pytest.FixtureRequest) -> Session:
    """The former name of ``session``, for checks of users."""
    return _session(request)


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """Where the deployment lives."""
    return _session(request).target


@pytest.fixture(scope="session")
def topology(request: pytest.FixtureRequest) -> Topology:
    """What the deployment should be."""
    return _session(request).topology


@pytest.fixture(scope="session")
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """The deployment as the API reports it."""
    return _session(request).deployment


@pytest.fixture(scope="session")
def access(request: pytest.FixtureRequest) -> Access:
    """Runs commands on its nodes."""
    return _session(request).access


@pytest.fixture(scope="session")
def door(request: pytest.FixtureRequest, topology: Topology) -> FrontDoor:
    """How programs are submitted at the front door; skips where the topology does not say."""
    found = _session(request).door
    if found is None:
        pytest.skip(f"topology {topology.name} has no checks.front_door")
    return found


@pytest.fixture(scope="session")
def front_door(target: Target, deployment: Deployment, door: FrontDoor) -> Iterator[httpx.Client]:
    """An HTTP client outside, for the front door's public address."""
    with frontdoor.open_client(target, deployment.nodes[door.node].public_ip or "", door) as client:
        yield client


@pytest.fixture(scope="session")
def judge0(request: pytest.FixtureRequest, topology: Topology) -> Iterator[Judge0]:
    """Judge0's own API, from a node that may reach it; skips where the topology does not say."""
    if topology.checks.judge0 is None:
        pytest.skip(f"topology {topology.name} has no checks.judge0")
    with to_judge0(_session(request)) as client:
        yield Judge0(client)


@pytest.fixture(scope="session")
def probe_sources(topology: Topology) -> tuple[str, ...]:
    """Where probes are sent from."""
    return (*topology.droplets, *OUTSIDERS)


@pytest.fixture(scope="session")
def machines(request: pytest.FixtureRequest) -> dict[str, Machine]:
    """What each droplet is; the report lists the differences from the topology's images."""
    session = _session(request)
    found = inspect_all(session.access, session.topology)
    request.config.stash[SECTIONS]["machines"] = machine_images.section(session.topology, found)
    return found


@pytest.fixture
def remark(request: pytest.FixtureRequest) -> Remark:
    """Adds a remark on the whole run, at the top of its report."""
    notes: list[str] = request.config.stash[SECTIONS]["notes"]
    return lambda text: notes.extend({text} - set(notes))


@pytest.fixture(scope="session")
def proof(request: pytest.FixtureRequest) -> Proof:
    """One scan for all checks and the report; it takes a while, and shows its progress.

    It scans everything, unless all that was chosen judges single probe sources: then only these.
    """
    session = _session(request)
    sources = probe_sources_of(request.session.items, {*session.topology.droplets, *OUTSIDERS})
    if sources is not None:
        request.config.stash[SECTIONS]["notes"].append(f"ports were probed from {', '.join(sources)} only")
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled(), bar("isolation") as progress:
        found = prove(
            session.target,
            session.topology,
            session.deployment,
            session.choice.run_dir,
            choose=lambda pair: sources is None or pair.source in sources,
            progress=progress,
        )
    document = section(session.topology, found.network, found.observation, found.differences, found.tampered)
    request.config.stash[SECTIONS]["isolation"] = document
    return found


def probe_sources_of(
    items: Iterable[pytest.Item], every: Collection[str], checks: Path = CHECKS
) -> tuple[str, ...] | None:
    """The probe sources that the chosen checks of the proof judge; None if these are all of ``every``.

    So it is, too, where one of the checks judges the scan as a whole, or is not one of Wavetank's own: what a
    user's check wants to know of the scan cannot be seen.
    """
    items = list(items)
    users = [each for each in items if isinstance(each, pytest.Function) and "proof" in each.fixturenames]
    if not users or any(not each.path.is_relative_to(checks) for each in items):
        return None
    if not all(hasattr(each, "callspec") and SOURCE in each.callspec.params for each in users):
        return None
    chosen = tuple(dict.fromkeys(str(each.callspec.params[SOURCE]) for each in users))
    return None if set(chosen) >= set(every) else chosen

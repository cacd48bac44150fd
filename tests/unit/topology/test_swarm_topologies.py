"""What a swarm in a topology becomes, where its tasks can run, and that the plan's swarms keep their word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from topology_samples import ENCRYPTED

import emulator
from harness.core.progress import Progress
from harness.firewall.from_api import fetch, network_of
from harness.firewall.from_topology import declared
from harness.isolation.compare import differences
from harness.isolation.drift import drift
from harness.provision import lock_down, plan, provision
from harness.target.api import Api
from harness.target.target import Target
from harness.topology import Topology, load
from harness.topology.model import Flow, Judge0Endpoint, Overlay, RunnerEndpoint, StackService
from harness.topology.rendering.imagined import imagined
from harness.topology.rendering.render import render_stack_service
from harness.topology.validation import placement, underlay

Loader = Callable[..., Topology]

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQpUDzq3G8P1Yt2h1Ff5iXz8Mfnr5DHyVFTc8HWGFpk wavetank-a"
OPERATORS = ("198.51.100.7/32",)
WORKERS = 'constraints: ["node.role == worker"]'


@pytest.fixture(params=["swarm", "swarm-ha", "swarm-encrypted"])
def plans(request: pytest.FixtureRequest) -> Topology:
    """Each of the topologies of the plan's Option 2."""
    return load(TOPOLOGIES / f"{request.param}.yaml")


@pytest.fixture
def target() -> Iterator[Target]:
    """An empty account behind the mock, in which what is asked for is done at once."""
    with emulator.mock():
        yield Target("do", "https://api.digitalocean.com", "token", operators=OPERATORS)


def services(topology: Topology) -> dict[str, StackService]:
    """The stack's services by name."""
    assert topology.swarm is not None
    return {each.name: each for each in topology.swarm.services}


def test_a_swarm_is_read_with_its_defaults(load_swarm: Loader) -> None:
    """Roles are expanded, and what the file leaves out is as the docs say."""
    topology = load_swarm(("  heartbeat: 3\n", ""))
    assert topology.swarm is not None
    assert (topology.swarm.managers, topology.swarm.stack, topology.swarm.heartbeat) == (
        ("web",),
        "small-stack",
        5,
    )
    assert topology.swarm.overlay == Overlay("small-net", encrypted=False, esp="")
    web, api = topology.swarm.services
    assert (web.replicas, web.order, web.constraints, web.cap_add) == (1, "stop-first", (), ())
    assert (api.nodes, api.replicas, api.order, api.cap_add) == (
        ("api-1", "api-2"),
        2,
        "start-first",
        ("SYS_ADMIN",),
    )
    assert api.compose == topology.app / "api/docker-compose.yml"
    assert topology.services == ()
    assert topology.checks.judge0 == Judge0Endpoint("", 8000, "", (), "api")


def test_a_runner_is_asked_in_the_front_doors_words(load_small: Loader) -> None:
    """At its path, unless it has one of its own; in the plan's swarms wherever its task runs."""
    old = "  judge0: {node"
    same = load_small((old, f"  runner: {{node: api-1, port: 8000, source: web}}\n{old}"))
    other = load_small((old, f"  runner: {{node: api-1, port: 8001, source: web, path: /own}}\n{old}"))
    form: Any = {"request": {"code": "source"}, "reply": {"stdout": "output.text"}}
    assert same.checks.runner == RunnerEndpoint("api-1", 8000, "web", "/run", **form)
    assert other.checks.runner == RunnerEndpoint("api-1", 8001, "web", "/own", **form)
    for name in ("swarm", "swarm-ha", "swarm-encrypted"):
        checks = load(TOPOLOGIES / f"{name}.yaml").checks
        assert checks.front_door is not None
        request, reply = checks.front_door.request, checks.front_door.reply
        assert checks.runner == RunnerEndpoint("", 4000, "", "/api/run", "runner-api", request, reply)


def test_a_line_of_intent_may_name_several_ends(load_small: Loader) -> None:
    """Each with each, but none with itself, and nothing twice where a role and its droplet are both named."""
    line = "  - {from: web, to: api, tcp: [8000, 8001]}"
    topology = load_small((line, "  - {from: [web], to: [api, api-1], tcp: [8000, 8001]}"))
    assert topology.intent.count(Flow("web", "api-1", "tcp", "8000")) == 1
    assert topology.intent == load_small().intent


def test_a_member_is_labelled_with_its_role_and_its_services(load_swarm: Loader) -> None:
    """The labels that placement is checked against are those that members get."""
    topology = load_swarm()
    assert placement.labels(topology, "api-2") == {"role": "api", "api": "true"}
    assert placement.labels(topology, "web") == {"role": "web", "web": "true"}


@pytest.mark.parametrize(
    ("constraint", "nodes"),
    [
        ("node.role == worker", ("api-1", "api-2")),
        ("node.role==WORKER", ("api-1", "api-2")),
        ("node.hostname != api-1", ("api-2",)),
        ("node.hostname == api-1", ("api-1",)),
        ("node.labels.role == api", ("api-1", "api-2")),
        ("node.labels.api == true", ("api-1", "api-2")),
        ("node.labels.zone != a", ("api-1", "api-2")),
        ("node.platform.os == linux", ("api-1", "api-2")),
        ("engine.labels.disk != ssd", ("api-1", "api-2")),
    ],
)
def test_a_constraint_leaves_the_droplets_that_meet_it(
    load_swarm: Loader, constraint: str, nodes: tuple[str, ...]
) -> None:
    """As Docker compares: without regard to case, a missing label as an empty one; unknown means possible."""
    topology = load_swarm((WORKERS, f'constraints: ["{constraint}"]'))
    assert placement.eligible(topology, services(topology)["api"]) == nodes


def test_all_constraints_count(load_swarm: Loader) -> None:
    """A droplet must meet each of them."""
    both = 'constraints: ["node.role == worker", "node.hostname != api-2"]'
    topology = load_swarm((WORKERS, both))
    assert placement.eligible(topology, services(topology)["api"]) == ("api-1",)


def test_a_published_port_takes_a_droplet_for_each_task(load_swarm: Loader) -> None:
    """Else any number fits on one droplet; on none that is left, none."""
    plain = load_swarm()
    ported = load_swarm(
        (WORKERS, f"{WORKERS}\n      ports: [25060]\n      order: stop-first"), *_admit(25060)
    )
    for topology, left, with_one_lost in ((plain, 2, 2), (ported, 2, 1)):
        api = services(topology)["api"]
        assert placement.placeable(topology, api) == left
        assert placement.placeable(topology, api, lost=["api-2"]) == with_one_lost
        assert placement.placeable(topology, api, lost=["api-1", "api-2"]) == 0


def _admit(port: int) -> tuple[tuple[str, str], ...]:
    """What lets the web ask the api on a port."""
    return (
        (
            "    inbound: []\n    outbound:\n",
            f'    inbound:\n      - {{protocol: tcp, ports: "{port}", from: [web]}}\n    outbound:\n',
        ),
        (
            "from: [api]}\n    outbound: []",
            f'from: [api]}}\n    outbound:\n      - {{protocol: tcp, ports: "{port}", to: [api]}}',
        ),
        (
            "  - {from: api, to: web, tcp: [2377]}\n",
            f"  - {{from: api, to: web, tcp: [2377]}}\n  - {{from: web, to: api, tcp: [{port}]}}\n",
        ),
    )


@settings(deadline=None)
@given(st.text(st.sampled_from("noderlabs.=! ><0a"), max_size=16))
def test_a_constraint_is_refused_or_understood(text: str) -> None:
    """Nothing that is taken is then skipped in silence: it has a key, an operator and a value."""
    if placement.problem_with(text) is None:
        match = placement.CONSTRAINT.fullmatch(text)
        assert match is not None
        assert all(match[each] for each in ("key", "operator", "value"))


def test_the_swarms_own_ports_are_needed_between_all(load_swarm: Loader) -> None:
    """Every pair of members, and every member to every manager but itself."""
    topology = load_swarm()
    assert topology.swarm is not None
    needs = {(each.port, each.protocol): len(each.pairs) for each in underlay.needs(topology, topology.swarm)}
    assert needs == {(2377, "tcp"): 2, (7946, "tcp"): 6, (7946, "udp"): 6, (4789, "udp"): 6}


def test_an_encrypted_overlay_leaves_every_gate_open(load_swarm: Loader) -> None:
    """No firewall is made, not for management either, and nobody asks for one."""
    topology = load_swarm(*ENCRYPTED)
    assert topology.swarm is not None
    assert topology.swarm.overlay == Overlay("small-net", encrypted=True, esp="uncovered")
    assert topology.all_firewalls() == ()
    network = declared(topology)
    assert all(not network.covering(name) for name in topology.droplets)


def test_each_of_the_plans_swarms_is_made_as_it_is_meant(plans: Topology, target: Target) -> None:
    """Provisioned through the API: what its rules admit is what the topology means, and no more."""
    provision(target, plans, "a", public_key=PUBLIC_KEY, progress=Progress(quiet=True))
    lock_down(target, "a")
    assert plan(target, plans, "a").empty
    with Api(target) as api:
        told = fetch(api, "a")
    assert differences(plans, network_of(plans, "a", told), None) == ()
    assert drift(plans, "a", OPERATORS, told) == ()


def test_uncovered_members_never_get_a_firewall(target: Target) -> None:
    """Not at first boot either, where one would shut out the log-ins that nothing else admits."""
    topology = load(TOPOLOGIES / "swarm-encrypted.yaml")
    assert plan(target, topology, "a").of("create", "firewall") == ()


def test_a_boot_firewall_that_was_left_goes_where_members_are_uncovered(target: Target) -> None:
    """A run that was begun with firewalls becomes one without: the boot firewall is not kept."""
    covered, uncovered = (load(TOPOLOGIES / f"{name}.yaml") for name in ("swarm", "swarm-encrypted"))
    uncovered = replace(uncovered, droplets=covered.droplets)
    provision(target, covered, "a", public_key=PUBLIC_KEY, progress=Progress(quiet=True))
    deleted = {each.name for each in plan(target, uncovered, "a").of("delete", "firewall")}
    assert "wavetank-a--bootstrap" in deleted
    provision(target, uncovered, "a", public_key=PUBLIC_KEY, progress=Progress(quiet=True))
    with Api(target) as api:
        assert fetch(api, "a").firewalls == []


def test_the_plans_services_all_have_a_place_and_their_files(plans: Topology) -> None:
    """Every service can run all its replicas, and is rendered."""
    for service in services(plans).values():
        assert placement.placeable(plans, service) == service.replicas
        rendered = render_stack_service(plans, imagined(plans), service)
        assert rendered.text == service.compose.read_text()
        assert set(service.environment) <= set(rendered.environment)


@pytest.mark.parametrize(
    "lost", ["client", "runner", "judge0-lb", "server-1", "server-2", "worker-1", "worker-2"]
)
def test_three_managers_survive_any_one_droplet(lost: str) -> None:
    """Quorum is left, and every service can run, all of its tasks but for the front door that was lost."""
    topology = load(TOPOLOGIES / "swarm-ha.yaml")
    assert topology.swarm is not None
    managers = topology.swarm.managers
    assert 2 * len(set(managers) - {lost}) > len(managers)
    for service in topology.swarm.services:
        door = service.name == "client" and lost in service.nodes
        assert placement.placeable(topology, service, lost=[lost]) == service.replicas - door >= 1
    for plain in topology.services:
        assert set(plain.nodes) - {lost}


def test_the_plans_manager_runs_nothing_else() -> None:
    """So that it can be lost alone, and what the plan's one manager buys be seen."""
    topology = load(TOPOLOGIES / "swarm.yaml")
    assert all("runner" not in placement.eligible(topology, each) for each in services(topology).values())

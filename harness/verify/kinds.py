"""Which checks do not apply: they are for something that the topology does not have, and are not collected.

A check of ours needs what its fixtures are named after, and any check what its mark ``needs`` names. What
this machine or the target cannot show is another matter: such a check is collected, and skipped, saying why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import pytest

from harness.core.paths import CHECKS
from harness.core.ports import intersect
from harness.faults.fault import MANAGER, PARTITION
from harness.faults.fault import names as faults
from harness.firewall.model import Pair
from harness.isolation import intended
from harness.isolation.model import OUTSIDERS
from harness.judge0.frontdoor import languages, port_of
from harness.judge0.programs import COMPILED
from harness.topology.model import INTERNET, PORTS_OF, Scheme, Topology
from harness.verify.balancer.upstreams import upstream_droplets
from harness.verify.judge0_token import token_headers
from harness.verify.requests import labels
from harness.verify.swarm.discovery import listening
from harness.verify.swarm.workers import services_of

MARK = "needs"
OF_SERVICE = ("environment", "health")
Has = Mapping[str, Collection[object]]

# Descriptions of what is missing, where the name is not enough; and the checks that a swarm has instead.
MISSING = {
    "door": "checks.front_door",
    "history": "checks.front_door.history",
    "stderr": "stderr in checks.front_door.reply",
    "compile_output": "compile_output in checks.front_door.reply",
    "compiled": "compiled language in checks.front_door.languages",
    "token": "token in checks.front_door.reply",
    "app_request": "checks.requests",
    "scheme": "port of the front door that the internet may reach",
    "http": "way for the internet to port 80 of the front door",
    "https": "way for the internet to port 443 of the front door",
    "language_name": "checks.front_door",
    "judge0": "checks.judge0",
    "judge0_token": "header in checks.judge0.headers that says who asks",
    "judge0_node": "checks.judge0.node",
    "judge0_service": "checks.judge0.service",
    "workers": "checks.judge0.workers",
    "placed": "compose projects on nodes",
    "environment": "environment of a compose project",
    "health": "health URL of a compose project",
    "server": "nodes behind Judge0's load balancer",
    "stacked": "swarm",
    "fault": "swarm",
    "cut_off": "swarm",
    "manager_lost": "swarm",
    "worker_services": "service of a stack that runs programs",
    "fallen": "droplets that are lost one by one",
    "quiet": "droplet that nobody is meant to talk to: isolation.* asks them all",
}
SECRETS = "swarm.passwords_are_secrets and swarm.no_service_is_told_of_public_addresses look at it"
INSTEAD = {
    "placed": SECRETS,
    "environment": SECRETS,
    "judge0_node": "swarm.servers_share_the_load sees the servers answer, which come and go with their tasks",
    "server": "swarm.servers_share_the_load and swarm_updates look at the tasks behind its balancer",
    "worker_services": "end_to_end.worker_runs_it sees where programs run",
    "fallen": "swarm_failover takes power from members, for tasks move, and knows what is survived",
}


def parameters(topology: Topology) -> dict[str, list[str]]:
    """The values that checks are parametrised with, by the parameter's name."""
    servers, door = upstream_droplets(topology), topology.checks.front_door
    lost = [] if topology.swarm else [*topology.droplets, *(["+".join(servers)] if servers else [])]
    return {
        "node": list(topology.droplets),
        "probe_source": [*topology.droplets, *OUTSIDERS],
        "database": list(topology.databases),
        "placed": _placed(topology),
        "server": list(servers),
        "fallen": lost,
        "fault": list(faults(topology)),
        "cut_off": [each for each in faults(topology) if each.startswith(PARTITION)],
        "manager_lost": [each for each in faults(topology) if each.endswith(MANAGER)],
        "stacked": list(listening(topology.swarm)) if topology.swarm else [],
        "scheme": list[str](_schemes(topology)),
        "app_request": labels(topology.checks.requests),
        "language_name": list(languages(door)) if door else [],
    }


def has(topology: Topology) -> Has:
    """All that a check can need, by name; empty where the topology has none of it."""
    door, judge0 = topology.checks.front_door, topology.checks.judge0
    called = {flow.destination for flow in topology.intent}
    return {
        **parameters(topology),
        "swarm": [topology.swarm] if topology.swarm else (),
        "door": [door] if door else (),
        "history": (door and door.history) or (),
        "token": (door and door.reply.get("token")) or (),
        "stderr": (door and door.reply.get("stderr")) or (),
        "compile_output": (door and door.reply.get("compile_output")) or (),
        "compiled": [each for each in languages(door) if each in COMPILED] if door else [],
        **{scheme: [scheme] if scheme in _schemes(topology) else () for scheme in PORTS_OF},
        "judge0": [judge0] if judge0 else (),
        "judge0_token": token_headers(topology),
        "judge0_node": [judge0.node] if judge0 and not judge0.service else (),
        "judge0_service": (judge0 and judge0.service) or (),
        "workers": judge0.workers if judge0 else (),
        "worker_services": services_of(topology),
        **{name: _placed(topology, name) for name in OF_SERVICE},
        "quiet": [name for name in topology.droplets if name not in called],
    }


def needs(marks: Iterable[pytest.Mark], known: Has) -> list[str]:
    """What a check needs, by its marks. Raises ``UsageError`` for something that is not ``known``."""
    names = [str(name) for mark in marks for name in mark.args]
    if wrong := sorted(set(names) - set(known)):
        raise pytest.UsageError(f"the mark {MARK} names one of {', '.join(known)}, not {', '.join(wrong)}")
    return names


def values(name: str, needed: Iterable[str], there: Has) -> list[object]:
    """The values of a check's parameter; of services, those that have what it needs."""
    narrowed = [there[each] for each in needed if name == "placed" and each in OF_SERVICE]
    return [each for each in there[name] if all(each in some for some in narrowed)]


def left_out(item: pytest.Function, topology: Topology, there: Has) -> str:
    """Why a check is not collected; empty where ``there`` has all that it needs."""
    asked = item.fixturenames if item.path.is_relative_to(CHECKS) else ()
    wanted = [*asked, *needs(item.iter_markers(MARK), there)]
    absent = next((name for name in wanted if name in there and not there[name]), None)
    if absent is None:
        return ""
    instead = f"; {INSTEAD[absent]}" if topology.swarm and absent in INSTEAD else ""
    return f"topology {topology.name} has no {MISSING.get(absent, absent)}{instead}"


def notes(reasons: Iterable[str]) -> list[str]:
    """Remarks for the top of the report: how many were left out, for each reason."""
    counts = Counter(reasons).items()
    return [f"{count} check{'s' if count > 1 else ''} left out: {why}" for why, count in counts]


def _schemes(topology: Topology) -> list[Scheme]:
    """What the internet may speak with the front door: its own scheme, and another at its usual port."""
    door = topology.checks.front_door
    if door is None:
        return []
    opened = intended.may(topology, Pair(INTERNET, door.node, "public"), "tcp")
    ports = {scheme: ((port_of(door, scheme),) * 2,) for scheme in PORTS_OF}
    return [scheme for scheme in PORTS_OF if intersect(ports[scheme], opened)]


def _placed(topology: Topology, attribute: str = "name") -> list[str]:
    services = [each for each in topology.services if getattr(each, attribute)]
    return [f"{service.name}@{node}" for service in services for node in service.nodes]

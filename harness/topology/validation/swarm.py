"""Checks of the swarm's section by its names and values: managers, network, and what its services ask for.

Where tasks can run is for ``placement``; whether members hear each other is for ``underlay``.
"""

from __future__ import annotations

import re
from collections import Counter

from harness.topology import names as naming
from harness.topology.capabilities import CAPABILITIES
from harness.topology.names import Names
from harness.topology.schema import RawStackService, RawSwarm, RawTopology
from harness.topology.source import Problems, did_you_mean
from harness.topology.validation import placement

# Names that a swarm takes: letters, digits, and between them dashes and underscores.
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?")
NAME_LIMIT = 63
NAME_REMEDY = f"take up to {NAME_LIMIT} letters, digits, inner dashes and underscores, like "
OWN_NETWORKS = ("bridge", "docker_gwbridge", "host", "ingress", "none")
ORDERS = ("start-first", "stop-first")
UNCOVERED = "uncovered"
SLOWEST = 60  # seconds between heartbeats: a node that is lost would be noticed after minutes


def check(raw: RawTopology, names: Names, problems: Problems) -> None:
    """Note everything that is wrong with the section, if there is one."""
    swarm = raw.swarm
    if swarm is None:
        return
    _check_managers(swarm, names, problems)
    _check_own_names(swarm, problems)
    _check_network(raw, swarm, problems)
    if not 1 <= swarm.heartbeat <= SLOWEST:
        problem = f"{swarm.heartbeat} s is no heartbeat: a silent node is Down after about three of them"
        problems.add(("swarm", "heartbeat"), problem, f"write 1 to {SLOWEST} seconds; Docker's own is 5")
    if not swarm.services:
        problems.add(("swarm", "services"), "there are none", "add at least one")
    for name, service in swarm.services.items():
        _check_name(raw, swarm, name, problems)
        _check_service(name, service, problems)


def is_uncovered(raw: RawTopology) -> bool:
    """Whether the file says that no Cloud Firewall covers a member, which all droplets are."""
    return raw.swarm is not None and raw.swarm.network.esp == UNCOVERED


def _check_managers(swarm: RawSwarm, names: Names, problems: Problems) -> None:
    path = ("swarm", "managers")
    naming.check_droplets(problems, names, path, swarm.managers)
    seen: dict[str, str] = {}
    for index, given in enumerate(swarm.managers):
        for name in names.ends(given):
            if name in seen:
                remedy = "name each manager once"
                problems.add((*path, index), f"{name!r} is a manager already, by {seen[name]!r}", remedy)
            seen.setdefault(name, given)
    if not seen:
        problems.add(path, "a swarm needs a manager", "name a droplet, like 'runner', or three")
    elif len(seen) % 2 == 0:
        count = len(seen)
        lost = (count - 1) // 2 or "none"
        problem = (
            f"{count} managers survive the loss of {lost}, as {count - 1} would: more than half must be up"
        )
        remedy = "name an odd number: 1 survives the loss of none, 3 of any one, 5 of any two"
        problems.add(path, problem, remedy)


def _check_own_names(swarm: RawSwarm, problems: Problems) -> None:
    network = ("swarm", "network", "name")
    for path, name, like in (
        (("swarm", "stack"), swarm.stack, "'editor-stack'"),
        (network, swarm.network.name, "'editor-swarm-net'"),
    ):
        if not NAME.fullmatch(name) or len(name) > NAME_LIMIT:
            problems.add(path, f"{name!r} is not a name that a swarm takes", NAME_REMEDY + like)
    if swarm.network.name in OWN_NETWORKS:
        problem = f"{swarm.network.name!r} is a network of Docker's own"
        problems.add(network, problem, "take another name")


def _check_network(raw: RawTopology, swarm: RawSwarm, problems: Problems) -> None:
    path, network = ("swarm", "network"), swarm.network
    if network.esp not in ("", UNCOVERED):
        problem = f"{network.esp!r} is not a value for how ESP passes"
        problems.add((*path, "esp"), problem, did_you_mean(network.esp, [UNCOVERED]))
    elif network.esp and not network.encrypted:
        problem = "it says how ESP is to pass, and an overlay that is not encrypted sends none"
        problems.add((*path, "esp"), problem, "take it out, or say 'encrypted: true'")
    elif network.esp:
        for name, firewall in raw.firewalls.items():
            problem = (
                f"it covers members of the swarm ({', '.join(firewall.droplets)}), "
                "and 'esp: uncovered' says that none is covered"
            )
            remedy = "take it out: 'firewalls: {}'; or say 'encrypted: false', and take 'esp' out"
            problems.add(("firewalls", name), problem, remedy)
    elif network.encrypted:
        covering = ", ".join([*raw.firewalls, "those of management"])
        problem = (
            "an encrypted overlay sends ESP (IP protocol 50) from member to member, and Cloud Firewalls pass "
            f"TCP, UDP and ICMP only: those that cover members ({covering}) would drop it all, and services "
            "would start and never hear of each other"
        )
        remedy = (
            "say 'encrypted: false': what services say to each other is then in the clear, as VXLAN inside "
            "of the VPC; or say 'esp: uncovered' and 'firewalls: {}': members are then open to whoever "
            "reaches their addresses, so give them no public ones where you can ('public_networking: false')"
        )
        problems.add((*path, "encrypted"), problem, remedy)


def _check_name(raw: RawTopology, swarm: RawSwarm, name: str, problems: Problems) -> None:
    path = ("swarm", "services", name)
    naming.check_name(problems, path, name, naming.LONGEST["services"])
    if name in raw.services:
        problem = f"{name!r} is one of 'services' as well, which run outside of the swarm"
        problems.add(path, problem, "leave it in one of the two")
    if name == placement.ROLE_LABEL:
        problem = f"{name!r} is the node label that holds a droplet's role"
        problems.add(path, problem, "give the service another name")
    whole = f"{swarm.stack}_{name}"
    if len(whole) > NAME_LIMIT >= len(swarm.stack):
        problem = f"its full name, {whole!r}, is longer than {NAME_LIMIT} letters"
        problems.add(path, problem, "shorten its name or the stack's")


def _check_service(name: str, service: RawStackService, problems: Problems) -> None:
    path = ("swarm", "services", name)
    if service.replicas < 0:
        problem = f"{service.replicas} tasks cannot run"
        problems.add((*path, "replicas"), problem, "write how many to begin with; 0 is none")
    if service.order not in ORDERS:
        problem = f"{service.order!r} is no order of an update"
        problems.add((*path, "order"), problem, did_you_mean(service.order, ORDERS))
    for index, text in enumerate(service.constraints):
        if found := placement.problem_with(text):
            problems.add((*path, "constraints", index), *found)
    for index, capability in enumerate(service.cap_add):
        here = (*path, "cap_add", index)
        if capability not in CAPABILITIES:
            remedy = did_you_mean(capability.upper().removeprefix("CAP_"), CAPABILITIES)
            problems.add(here, f"{capability!r} is no capability of Linux", remedy)
        elif Counter(service.cap_add)[capability] > 1:
            problems.add(here, f"{capability!r} is given twice", "name it once")

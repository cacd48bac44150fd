"""Cloud Firewalls."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, TypeVar

from emulator.cloud import droplets, tags
from emulator.cloud.clock import now
from emulator.cloud.errors import ConflictError, NotFoundError, NotOfferedError, UnprocessableError
from emulator.cloud.models import Droplet, Firewall, Peers, Rule
from emulator.cloud.policy import covers

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.-]*")
PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
ALL = "0"
MOST_DROPLETS, MOST_TAGS, MOST_RULES, MOST_PEERS = 10, 5, 50, 1000


@dataclass(frozen=True)
class RuleRequest:
    """A rule as a client sends it: ``ports`` may be "all", "0", empty, "22" or "8000-9000"."""

    protocol: str
    ports: str
    addresses: Sequence[str] = ()
    droplet_ids: Sequence[int] = ()
    tags: Sequence[str] = ()
    load_balancer_uids: Sequence[str] = ()
    kubernetes_ids: Sequence[str] = ()


@dataclass(frozen=True)
class FirewallRequest:
    """A whole firewall as a client sends it."""

    name: str
    inbound: Sequence[RuleRequest] = ()
    outbound: Sequence[RuleRequest] = ()
    droplet_ids: Sequence[int] = ()
    tags: Sequence[str] = ()


def create(cloud: Cloud, request: FirewallRequest) -> Firewall:
    """Make a firewall; names are unique."""
    with cloud.store.transaction():
        return _save(cloud, request, str(uuid.uuid4()), now())


def get(cloud: Cloud, firewall_id: str) -> Firewall:
    """One firewall. Raises ``NotFoundError``."""
    firewall = cloud.store.get(Firewall, firewall_id)
    if firewall is None:
        raise NotFoundError
    return firewall


def replace(cloud: Cloud, firewall_id: str, request: FirewallRequest) -> Firewall:
    """Give a firewall a whole new form."""
    with cloud.store.transaction():
        before = get(cloud, firewall_id)
        return _save(cloud, request, before.id, before.created_at)


def delete(cloud: Cloud, firewall_id: str) -> None:
    """Remove a firewall; droplets that no other covers are open from then on."""
    with cloud.store.transaction():
        cloud.store.delete(get(cloud, firewall_id))
        cloud.network.changed()


def of_droplet(cloud: Cloud, droplet: Droplet) -> list[Firewall]:
    """The firewalls that cover a droplet."""
    return [firewall for firewall in cloud.store.all(Firewall) if covers(firewall, droplet)]


def change_droplets(cloud: Cloud, firewall_id: str, ids: Sequence[int], *, remove: bool) -> None:
    """Add droplets to a firewall, or take them off."""
    with cloud.store.transaction():
        firewall = get(cloud, firewall_id)
        changed = _change(firewall.droplet_ids, _droplet_ids(cloud, ids, may_be_gone=remove), remove=remove)
        _put(cloud, firewall.model_copy(update={"droplet_ids": changed}))


def change_tags(cloud: Cloud, firewall_id: str, names: Sequence[str], *, remove: bool) -> None:
    """Add tags to a firewall, or take them off."""
    with cloud.store.transaction():
        firewall = get(cloud, firewall_id)
        changed = _change(firewall.tags, tags.known(cloud, names), remove=remove)
        _put(cloud, firewall.model_copy(update={"tags": changed}))


def change_rules(
    cloud: Cloud,
    firewall_id: str,
    inbound: Sequence[RuleRequest],
    outbound: Sequence[RuleRequest],
    *,
    remove: bool,
) -> None:
    """Add rules to a firewall, or take them off. A rule to be taken off must be there."""
    with cloud.store.transaction():
        firewall = get(cloud, firewall_id)
        changes = {}
        for side, requests in (("inbound", inbound), ("outbound", outbound)):
            before: tuple[Rule, ...] = getattr(firewall, side)
            rules = _rules(cloud, requests)
            if remove and not set(rules) <= set(before):
                raise NotFoundError(f"a rule to be removed is not among the firewall's {side} rules")
            changes[side] = _change(before, rules, remove=remove)
        _put(cloud, firewall.model_copy(update=changes))


def _save(cloud: Cloud, request: FirewallRequest, firewall_id: str, created_at: str) -> Firewall:
    if not NAME.fullmatch(request.name):
        raise UnprocessableError(
            "name must begin with a letter or number and hold letters, numbers, dots and dashes"
        )
    if any(other.name == request.name and other.id != firewall_id for other in cloud.store.all(Firewall)):
        raise ConflictError("duplicate name")
    return _put(
        cloud,
        Firewall(
            id=firewall_id,
            name=request.name,
            inbound=_rules(cloud, request.inbound),
            outbound=_rules(cloud, request.outbound),
            droplet_ids=_droplet_ids(cloud, request.droplet_ids),
            tags=tags.known(cloud, request.tags),
            created_at=created_at,
        ),
    )


def _put(cloud: Cloud, firewall: Firewall) -> Firewall:
    if len(firewall.droplet_ids) > MOST_DROPLETS:
        raise UnprocessableError(f"a firewall can have at most {MOST_DROPLETS} droplets")
    if len(firewall.tags) > MOST_TAGS:
        raise UnprocessableError(f"a firewall can have at most {MOST_TAGS} tags")
    if len(firewall.inbound) + len(firewall.outbound) > MOST_RULES:
        raise UnprocessableError(f"a firewall can have at most {MOST_RULES} rules")
    if not firewall.inbound and not firewall.outbound:
        raise UnprocessableError("a firewall needs at least one inbound or outbound rule")
    cloud.network.changed()
    return cloud.store.put(firewall)


T = TypeVar("T")


def _change(before: Iterable[T], given: Iterable[T], *, remove: bool) -> tuple[T, ...]:
    if remove:
        gone = set(given)
        return tuple(item for item in before if item not in gone)
    return tuple(dict.fromkeys([*before, *given]))


def _droplet_ids(cloud: Cloud, ids: Iterable[int], *, may_be_gone: bool = False) -> tuple[int, ...]:
    wanted = tuple(dict.fromkeys(ids))
    there = {droplet.id for droplet in droplets.listed(cloud)}
    missing = [str(number) for number in wanted if number not in there]
    if missing and not may_be_gone:
        raise UnprocessableError(f"droplet {', '.join(missing)} not found")
    return wanted


def _rules(cloud: Cloud, requests: Iterable[RuleRequest]) -> tuple[Rule, ...]:
    return tuple(dict.fromkeys(_rule(cloud, request) for request in requests))


def _rule(cloud: Cloud, request: RuleRequest) -> Rule:
    if request.protocol not in ("tcp", "udp", "icmp"):
        raise UnprocessableError(f"protocol must be one of tcp, udp, icmp, not {request.protocol!r}")
    if request.load_balancer_uids or request.kubernetes_ids:
        raise NotOfferedError("a firewall rule that names load balancers or Kubernetes clusters")
    peers = Peers(
        addresses=tuple(_address(address) for address in request.addresses),
        droplet_ids=_droplet_ids(cloud, request.droplet_ids),
        tags=tags.known(cloud, request.tags),
    )
    count = len(peers.addresses) + len(peers.droplet_ids) + len(peers.tags)
    if not 0 < count <= MOST_PEERS:
        raise UnprocessableError(f"a rule needs 1 to {MOST_PEERS} sources or destinations, not {count}")
    ports = ALL if request.protocol == "icmp" else _ports(request)
    return Rule.model_validate({"protocol": request.protocol, "ports": ports, "peers": peers})


def _ports(request: RuleRequest) -> str:
    if request.ports in ("all", "0"):
        return ALL
    match = PORTS.fullmatch(request.ports)
    numbers = [int(number) for number in match.groups() if number] if match else []
    if not numbers or not all(1 <= number <= 65535 for number in numbers) or numbers != sorted(numbers):
        raise UnprocessableError(
            f"ports must be a port, a range like 8000-9000, or all, not {request.ports!r}"
        )
    return request.ports


def _address(address: str) -> str:
    try:
        ip_network(address, strict=False)
    except ValueError as error:
        raise UnprocessableError(f"{address!r} is not a valid address or CIDR") from error
    return address

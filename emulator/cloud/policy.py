"""From firewalls, tags and trusted sources to what each machine may send and receive: one pure function.

The rules, as on DigitalOcean: a droplet no firewall covers is open. Once one covers it, everything that no
covering firewall allows is denied, in both directions; several firewalls are a union. What the sender may
send and what the receiver may receive are checked separately. A rule that names droplets or tags
means all their addresses, public and private. A database cluster takes connections on its port from its
trusted sources, or from everywhere if it has none, and opens none itself. IPv6 peers are left out: the
emulated network has no IPv6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, ip_network

from emulator.cloud.models import Database, Droplet, Firewall, Peers, Rule, TrustedSource
from emulator.planes.base import AllowRule, MemberPolicy, NetworkPolicy

ALL_PORTS = (0, 65535)
ANYWHERE = ("0.0.0.0/0",)


def network_policy(
    serial: int, droplets: Sequence[Droplet], databases: Sequence[Database], firewalls: Sequence[Firewall]
) -> NetworkPolicy:
    """The filter state these records ask for. Rules that would admit nothing are left out."""
    members = [_droplet(droplet, droplets, firewalls) for droplet in droplets]
    members += [_database(database, droplets) for database in databases]
    return NetworkPolicy(serial, tuple(members))


def covers(firewall: Firewall, droplet: Droplet) -> bool:
    """Whether a firewall applies to a droplet, by id or by tag."""
    return droplet.id in firewall.droplet_ids or not _lower(droplet.tags).isdisjoint(_lower(firewall.tags))


def port_range(ports: str) -> tuple[int, int]:
    """First and last port of "22", "8000-9000" or "0" (all)."""
    if ports == "0":
        return ALL_PORTS
    first, _, last = ports.partition("-")
    return int(first), int(last or first)


def _droplet(droplet: Droplet, droplets: Sequence[Droplet], firewalls: Sequence[Firewall]) -> MemberPolicy:
    covering = [firewall for firewall in firewalls if covers(firewall, droplet)]
    inbound = [
        allowed
        for firewall in covering
        for allowed in _allow_rules(firewall.name, firewall.inbound, droplets)
    ]
    outbound = [
        allowed
        for firewall in covering
        for allowed in _allow_rules(firewall.name, firewall.outbound, droplets)
    ]
    return MemberPolicy(droplet.ref, bool(covering), tuple(inbound), tuple(outbound))


def _allow_rules(firewall: str, rules: Iterable[Rule], droplets: Sequence[Droplet]) -> Iterable[AllowRule]:
    for rule in rules:
        peers = _peers(rule.peers, droplets)
        if peers:
            yield AllowRule(rule.protocol, port_range(rule.ports), peers, firewall)


def _peers(peers: Peers, droplets: Sequence[Droplet]) -> tuple[str, ...]:
    named = [
        address
        for droplet in droplets
        if droplet.id in peers.droplet_ids or not _lower(droplet.tags).isdisjoint(_lower(peers.tags))
        for address in droplet.addresses
    ]
    return _cidrs([*peers.addresses, *named])


def _database(database: Database, droplets: Sequence[Droplet]) -> MemberPolicy:
    if database.rules:
        by_id = {str(droplet.id): droplet for droplet in droplets}
        peers = _cidrs(address for rule in database.rules for address in _trusted(rule, droplets, by_id))
    else:
        peers = ANYWHERE
    port = (database.port, database.port)
    inbound = (AllowRule("tcp", port, peers, "trusted sources"),) if peers else ()
    return MemberPolicy(database.ref, covered=True, inbound=inbound, outbound=())


def _trusted(rule: TrustedSource, droplets: Sequence[Droplet], by_id: Mapping[str, Droplet]) -> Iterable[str]:
    if rule.type == "ip_addr":
        return (rule.value,)
    if rule.type == "droplet":
        return by_id[rule.value].addresses if rule.value in by_id else ()
    return _peers(Peers(tags=(rule.value,)), droplets)


def _cidrs(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cidr for cidr in map(_cidr, addresses) if cidr))


# The same few addresses and tags are asked for in each rule, of each machine, at each change and each look.
@lru_cache(maxsize=4096)
def _cidr(address: str) -> str:
    """The IPv4 network; empty for one of IPv6."""
    network = ip_network(address, strict=False)
    return str(network) if isinstance(network, IPv4Network) else ""


@lru_cache(maxsize=4096)
def _lower(tags: tuple[str, ...]) -> frozenset[str]:
    return frozenset(tag.lower() for tag in tags)

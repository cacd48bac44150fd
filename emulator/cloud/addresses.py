"""Which addresses machines get.

Public ones come from a documentation range that is nobody's (RFC 5737); private ones from the VPC, whose
first addresses are reserved as on DigitalOcean. An address is free again once its machine is really gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from itertools import islice

from emulator.cloud.errors import UnprocessableError
from emulator.planes.base import Address

PUBLIC = IPv4Network("203.0.113.0/24")
PUBLIC_GATEWAY = IPv4Address("203.0.113.1")
RESOLVER = IPv4Address("203.0.113.2")
PUBLIC_RESERVED = 9
PRIVATE_RESERVED = 4
PRIVATE_SPACES = tuple(IPv4Network(space) for space in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
# What the cloud keeps for itself (docs.digitalocean.com, VPC limits).
RESERVED_SPACES = tuple(IPv4Network(space) for space in ("10.244.0.0/15", "10.229.0.0/16"))
OWN_PREFIX = 20
OWN_SPACE = IPv4Network("10.8.0.0/13")


def public_address(ip: str) -> Address:
    """A public address with its guest's prefix and gateway."""
    return Address(ip, PUBLIC.prefixlen, str(PUBLIC_GATEWAY))


def private_address(ip: str, vpc_range: str) -> Address:
    """A VPC address with its guest's prefix and gateway."""
    network = IPv4Network(vpc_range)
    return Address(ip, network.prefixlen, str(network.network_address + 1))


def free_public(used: Iterable[str]) -> str:
    """The first public address nobody has. Raises ``UnprocessableError`` if all are taken."""
    return _first_free(PUBLIC, PUBLIC_RESERVED, used)


def free_private(vpc_range: str, used: Iterable[str]) -> str:
    """The first address of a VPC nobody has. Raises ``UnprocessableError`` if all are taken."""
    return _first_free(IPv4Network(vpc_range), PRIVATE_RESERVED, used)


def free_range(used: Iterable[str]) -> str:
    """A /20 that overlaps none of the ranges ``used``. Raises ``UnprocessableError`` if there is none."""
    taken = [IPv4Network(range_) for range_ in used]
    for network in OWN_SPACE.subnets(new_prefix=OWN_PREFIX):
        if not any(network.overlaps(other) for other in taken):
            return str(network)
    raise UnprocessableError("no free IP range is left in this account; give ip_range")


def check_range(ip_range: str, used: Iterable[str]) -> str:
    """``ip_range`` as it is written canonically, if a VPC can have it. Raises ``UnprocessableError``."""
    try:
        network = IPv4Network(ip_range)
    except ValueError as error:
        raise UnprocessableError(f"ip_range is not a valid IPv4 CIDR: {error}") from error
    if not 16 <= network.prefixlen <= 28:
        raise UnprocessableError("ip_range must be no larger than /16 and no smaller than /28")
    if not any(network.subnet_of(space) for space in PRIVATE_SPACES):
        raise UnprocessableError("ip_range must be within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    reserved = next((space for space in RESERVED_SPACES if network.overlaps(space)), None)
    if reserved:
        raise UnprocessableError(f"ip_range must not be within {reserved}, which is reserved")
    for other in used:
        if network.overlaps(IPv4Network(other)):
            raise UnprocessableError(
                f"This range/size overlaps with another VPC network in your account: {other}"
            )
    return str(network)


def _first_free(network: IPv4Network, reserved: int, used: Iterable[str]) -> str:
    taken = set(used)
    for address in _assignable(network, reserved):
        if str(address) not in taken:
            return str(address)
    raise UnprocessableError(f"no free address is left in {network}")


def _assignable(network: IPv4Network, reserved: int) -> Iterator[IPv4Address]:
    return islice(network.hosts(), reserved, None)

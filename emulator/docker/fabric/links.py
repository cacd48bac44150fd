"""Machines as the fabric knows them: their interfaces, names and metadata. Plain data, to and from JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from emulator.planes.base import PERFECT, Address, DatabaseSpec, DropletSpec, Quality


@dataclass(frozen=True)
class Link:
    """One interface of a machine. ``network`` is the VPC's range, or empty for the public interface."""

    name: str
    device: str
    mac: str
    ip: str
    prefix: int
    gateway: str
    network: str
    default: bool


@dataclass(frozen=True)
class Machine:
    """One machine: its interfaces and their quality, host names (to addresses) and metadata, if any."""

    ref: str
    links: tuple[Link, ...]
    hosts: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] | None = None
    quality: Quality = PERFECT

    @property
    def key(self) -> str:
        """Short name of the machine in the kernel's tables."""
        return key(self.ref)

    @property
    def is_guest(self) -> bool:
        """Whether it is run by its container's first process, in namespaces of its own."""
        return self.ref.startswith("droplet:")

    @property
    def ips(self) -> list[str]:
        """All addresses."""
        return [link.ip for link in self.links]

    def to_json(self) -> dict[str, Any]:
        """As it is kept on disk."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Machine:
        """What ``to_json`` gave. Raises ``KeyError`` or ``TypeError`` if it is not that."""
        links = tuple(Link(**link) for link in data["links"])
        quality = Quality(**data.get("quality", {}))  # one that was made before there was any has none
        return Machine(data["ref"], links, data["hosts"], data["metadata"], quality)


def key(ref: str) -> str:
    """``droplet:12`` as ``d12``; ``database:<uuid>`` as ``b`` and twelve digits. Fits an interface's name."""
    kind, _, identity = ref.partition(":")
    if kind == "droplet":
        return f"d{identity}"
    return f"b{identity.replace('-', '')[:12]}"


def droplet_machine(spec: DropletSpec) -> Machine:
    """A droplet as the fabric sees it."""
    ref = f"droplet:{spec.id}"
    links = _links(ref, spec.public, spec.private, spec.vpc_range)
    return Machine(ref, links, {}, spec.metadata, spec.quality)


def database_machine(spec: DatabaseSpec) -> Machine:
    """A database cluster as the fabric sees it."""
    ref = f"database:{spec.id}"
    hosts = {spec.public_host: spec.public.ip, spec.private_host: spec.private.ip}
    return Machine(ref, _links(ref, spec.public, spec.private, spec.vpc_range), hosts)


def _links(ref: str, public: Address | None, private: Address, vpc_range: str) -> tuple[Link, ...]:
    vpc = _link(ref, "eth1", private, vpc_range, default=public is None)
    return (vpc,) if public is None else (_link(ref, "eth0", public, "", default=True), vpc)


def _link(ref: str, device: str, address: Address, network: str, *, default: bool) -> Link:
    digest = hashlib.sha256(f"{ref}/{device}".encode()).hexdigest()
    mac = ":".join(["02", *(digest[index : index + 2] for index in range(0, 10, 2))])
    name = f"{key(ref)}e{device[-1]}"
    return Link(name, device, mac, address.ip, address.prefix, address.gateway, network, default)

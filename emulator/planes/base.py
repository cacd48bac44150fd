"""What the control plane asks of a data plane.

Every call is idempotent and blocks until done, so that the control plane can repeat whatever was
under way when it died. A plane keeps no truth of its own: it finds what exists by the ids given here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

PowerState = Literal["running", "stopped"]
# "away": events of any machine may have been missed meanwhile; its ref is empty.
MachineEvent = Literal["started", "stopped", "removed", "away"]
INTERNET = "internet"
FAULTS = ("tcp", "udp", "gre", "source-port", "icmp")  # ways to tamper with a fabric


class PlaneError(Exception):
    """The data plane could not do what was asked; the text says what and why, for the user."""


@dataclass(frozen=True)
class Address:
    """One IPv4 address of a machine, with the gateway of its guests."""

    ip: str
    prefix: int
    gateway: str


@dataclass(frozen=True)
class Quality:
    """What a droplet's links do to packets on their way to it: delay, with jitter around it, and loss."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_percent: float = 0.0


PERFECT = Quality()


@dataclass(frozen=True)
class DropletSpec:
    """Everything a plane needs to make one droplet; the same spec makes the same droplet again.

    ``eth0`` is the public interface (absent if ``public`` is None), ``eth1`` the VPC's. ``metadata`` is the
    document served at ``/metadata/v1.json``; ``user_data`` is a shell script or ``#cloud-config``.
    """

    id: int
    name: str
    image: str
    vcpus: int
    memory_mb: int
    vpc_id: str
    vpc_range: str
    public: Address | None
    private: Address
    authorized_keys: tuple[str, ...]
    user_data: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    quality: Quality = PERFECT


@dataclass(frozen=True)
class DatabaseSpec:
    """Everything a plane needs to make one managed database cluster.

    ``certificate`` and ``key`` (PEM) are for the two host names, issued by the cluster's ``ca``.
    ``engine`` is pg, valkey or mongodb. ``max_connections``, those reserved for maintenance among them, is
    PostgreSQL's; 0 leaves them to the engine.
    """

    id: str
    name: str
    engine: str
    version: str
    memory_mb: int
    vpc_id: str
    vpc_range: str
    public: Address
    private: Address
    public_host: str
    private_host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str = "defaultdb"
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    max_connections: int = 0


@dataclass(frozen=True)
class AllowRule:
    """One rule that admits packets: this protocol, these ports (first, last), with these peers (CIDRs)."""

    protocol: Literal["tcp", "udp", "icmp"]
    ports: tuple[int, int]
    peers: tuple[str, ...]
    firewall: str = ""


@dataclass(frozen=True)
class MemberPolicy:
    """What one machine may send and receive. ``covered`` False: no firewall names it, all passes.

    ``ref`` is ``droplet:<id>`` or ``database:<uuid>``. For databases ``covered`` is always True: inbound
    is what trusted sources allow on the service's port, outbound is replies only.
    """

    ref: str
    covered: bool
    inbound: tuple[AllowRule, ...]
    outbound: tuple[AllowRule, ...]


@dataclass(frozen=True)
class NetworkPolicy:
    """The whole desired filter state. Applied as one atomic step; ``serial`` grows with every change."""

    serial: int
    members: tuple[MemberPolicy, ...]


@dataclass(frozen=True)
class Existing:
    """What a plane found: machines by ref, with their power state."""

    machines: Mapping[str, PowerState]


@dataclass(frozen=True)
class PlaneInfo:
    """What ``GET /_wavetank/info`` shows of the plane.

    ``proxy`` is a SOCKS5 URL through which this machine reaches public addresses, as ``operator_ip``;
    ``internet_ip`` is an outsider's address beyond the fabric. ``capabilities`` maps a kernel feature
    (ipvs, esp, netem, cgroup_v2, ...) to whether it is there. ``internet_proxy`` is like ``proxy`` but
    comes from ``internet_ip``. Empty strings: the plane has none.
    """

    plane: str
    proxy: str
    operator_ip: str
    internet_ip: str
    capabilities: Mapping[str, bool]
    internet_proxy: str = ""


@dataclass(frozen=True)
class Integrity:
    """What of the network is not as the plane made it: a mapping each, ``where, problem, text``.

    ``repaired`` was so earlier and has been put right since, by a change of rules; with ``at``, when.
    """

    differences: Sequence[Mapping[str, str]] = ()
    repaired: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True)
class Usage:
    """What a database has used at ``at``, in seconds since 1970 by the engine's clock.

    ``cpu_seconds`` are since it was started, ``memory_bytes`` without the page cache that can be dropped at
    once, ``cores`` the processors that it may use.
    """

    ref: str
    at: float
    cpu_seconds: float
    memory_bytes: int
    cores: float


@dataclass(frozen=True)
class ScanPair:
    """From a source to one address of a target: machines by ref, or ``internet`` (see ``internet_ip``)."""

    source: str
    target: str
    side: Literal["private", "public"]
    source_ip: str
    target_ip: str


@dataclass(frozen=True)
class ScanOrder:
    """What to probe on every pair, so many times over: ranges (first, last) of ports, ICMP echo."""

    pairs: tuple[ScanPair, ...]
    tcp: tuple[tuple[int, int], ...]
    udp: tuple[tuple[int, int], ...]
    icmp: bool
    passes: int


class Plane(Protocol):
    """A data plane. Methods raise ``PlaneError``; each is safe to call again."""

    def start(self) -> None:
        """Attach to what runs, set up the fabric, and fail loudly if rules cannot be enforced."""

    def close(self) -> None:
        """Close all connections; machines keep running."""

    def info(self) -> PlaneInfo:
        """Describe the plane."""

    def existing(self) -> Existing:
        """Find every machine of this emulator, whatever its state."""

    def watch(self, on_event: Callable[[str, MachineEvent], object]) -> None:
        """From now on report what happens to machines, and to the ``fabric``, whatever causes it.

        ``on_event`` gets a ref and the event, from a thread of the plane, within seconds. The plane may
        report what it does itself, too.
        """

    def create_droplet(self, spec: DropletSpec, policy: NetworkPolicy) -> None:
        """Make and boot a droplet; returns when sshd answers. ``policy`` holds before its first packet."""

    def power_off(self, droplet_id: int) -> None:
        """Cut the power."""

    def shutdown(self, droplet_id: int) -> None:
        """Ask the guest to stop, and cut the power if it does not in time."""

    def power_on(self, spec: DropletSpec, policy: NetworkPolicy) -> None:
        """Start a stopped droplet with its disk; ``policy`` is in force before its first packet."""

    def rename_droplet(self, spec: DropletSpec) -> None:
        """Give a droplet its new host name and metadata."""

    def rebuild_droplet(self, spec: DropletSpec, policy: NetworkPolicy) -> None:
        """Replace the disk by a fresh image; id and addresses stay."""

    def destroy_droplet(self, droplet_id: int) -> None:
        """Remove a droplet and its disk; nothing happens if there is none.

        It may be called while ``create_droplet`` of the same is under way, which should then fail soon.
        """

    def create_database(self, spec: DatabaseSpec, policy: NetworkPolicy) -> None:
        """Make a cluster; returns when it takes connections with its credentials over TLS."""

    def destroy_database(self, database_id: str) -> None:
        """Remove a cluster and its data; nothing happens if there is none.

        It may be called while ``create_database`` of the same is under way, which should then fail soon.
        """

    def apply(self, policy: NetworkPolicy) -> None:
        """Enforce ``policy`` on everything that runs, atomically; established connections go on."""

    def flush_conntrack(self, droplet_id: int) -> None:
        """Delete a droplet's connection tracking entries: the present rules check all its packets."""

    def shape_refusal(self) -> str:
        """Why this plane's links can only be perfect; empty if they can be made worse."""

    def shape(self, spec: DropletSpec) -> None:
        """Give a droplet's links their ``quality``: now where it runs, else when it has power again."""

    def console(self, ref: str) -> str:
        """The last boot and system log of a machine, for error messages and bundles."""

    def counters(self) -> Sequence[Mapping[str, Any]]:
        """The fabric's own counters: a mapping each, ``ref, gate, verdict, firewall, packets, bytes``."""

    def flows(self) -> Sequence[Mapping[str, Any]]:
        """What was dropped, by pair: a mapping each, ``source_ip, target_ip, protocol, gate, packets``."""

    def integrity(self) -> Integrity:
        """Compare what filters and forwards packets with what ``apply`` made; changes nothing."""

    def restore(self) -> Integrity:
        """Make it what ``apply`` made, and forget what was ``repaired``; ``differences`` are those left."""

    def tamper(self, fault: str) -> None:
        """Change it by hand, as nobody should, for a check of the checks. ``fault`` is one of ``FAULTS``."""

    def usage(self) -> Sequence[Usage]:
        """What each database that runs has used; one that stops meanwhile is left out."""

    def scan_refusal(self) -> str:
        """Why this plane cannot scan; empty if it can."""

    def scan(
        self, order: ScanOrder, on_progress: Callable[[int, int], object], cancelled: threading.Event
    ) -> Sequence[Mapping[str, Any]]:
        """Probe pairs; returns when it is done, or soon after ``cancelled`` is set.

        ``on_progress`` gets the packets sent so far and the total, several times a second. Returns a mapping
        for each pair, in their order: ``error`` (why it was not fully probed, or empty), ``tcp``, ``udp`` and
        ``icmp``: None where not probed, or the account that the emulator's documentation describes.
        """

    def destroy_all(self) -> None:
        """Remove every machine, the fabric and all that carries this emulator's label."""

"""The records of the control plane. Times are UTC text as the API shows them, ids like DigitalOcean's."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from emulator.cloud.store import Record

PowerStatus = Literal["new", "active", "off"]


class Account(Record):
    """The one account: what it is called, its token and the CA of its databases (PEM)."""

    kind: ClassVar[str] = "account"
    uuid: str
    team_uuid: str
    token: str = Field(repr=False)
    ca_certificate: str
    ca_key: str = Field(repr=False)

    @property
    def key(self) -> str:
        return "account"


class Vpc(Record):
    """A private network of one region."""

    kind: ClassVar[str] = "vpc"
    id: str
    name: str
    description: str = ""
    region: str
    ip_range: str
    default: bool = False
    created_at: str

    @property
    def key(self) -> str:
        return self.id


class SshKey(Record):
    """A public key."""

    kind: ClassVar[str] = "ssh_key"
    id: int
    name: str
    public_key: str
    fingerprint: str

    @property
    def key(self) -> str:
        return str(self.id)


class Droplet(Record):
    """A virtual machine. ``deleted``: hidden from clients while the plane still removes it."""

    kind: ClassVar[str] = "droplet"
    id: int
    name: str
    region: str
    size: str
    image: str
    vpc_id: str
    public_ip: str = ""
    private_ip: str
    ssh_keys: tuple[str, ...] = ()
    user_data: str = ""
    tags: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    status: PowerStatus = "new"
    locked: bool = True
    disk_gb: int
    deleted: bool = False
    error: str = ""
    created_at: str

    @property
    def key(self) -> str:
        return str(self.id)

    @property
    def ref(self) -> str:
        """The machine's name towards the plane."""
        return f"droplet:{self.id}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its private address, and its public one if it has one."""
        return (self.private_ip, self.public_ip) if self.public_ip else (self.private_ip,)


class LinkQuality(Record):
    """What a droplet's links do to packets on their way to it; a droplet without one has perfect links."""

    kind: ClassVar[str] = "link_quality"
    droplet_id: int
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_percent: float = 0.0

    @property
    def key(self) -> str:
        return str(self.droplet_id)


class Action(Record):
    """Something done to a resource. ``completed_at`` is empty until it ended."""

    kind: ClassVar[str] = "action"
    id: int
    status: Literal["in-progress", "completed", "errored"] = "in-progress"
    type: str
    started_at: str
    completed_at: str = ""
    resource_id: int
    resource_type: str = "droplet"
    region: str

    @property
    def key(self) -> str:
        return str(self.id)


class Tag(Record):
    """A tag; what carries it says so itself."""

    kind: ClassVar[str] = "tag"
    name: str

    @property
    def key(self) -> str:
        return self.name.lower()


class Peers(Record):
    """Who a firewall rule is about."""

    kind: ClassVar[str] = "peers"
    addresses: tuple[str, ...] = ()
    droplet_ids: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()


class Rule(Record):
    """One allowance of a Cloud Firewall. ``ports`` is as the API shows it: "22", "8000-9000", "0" for all."""

    kind: ClassVar[str] = "rule"
    protocol: Literal["tcp", "udp", "icmp"]
    ports: str
    peers: Peers


class Firewall(Record):
    """A Cloud Firewall."""

    kind: ClassVar[str] = "firewall"
    id: str
    name: str
    inbound: tuple[Rule, ...] = ()
    outbound: tuple[Rule, ...] = ()
    droplet_ids: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    created_at: str

    @property
    def key(self) -> str:
        return self.id


class TrustedSource(Record):
    """Who may connect to a database cluster."""

    kind: ClassVar[str] = "trusted_source"
    uuid: str
    type: Literal["droplet", "ip_addr", "tag"]
    value: str
    created_at: str
    description: str = ""


class StorageAutoscale(Record):
    """When a cluster's storage grows by itself, as its owner asked for; 0: the cloud decides."""

    kind: ClassVar[str] = "storage_autoscale"
    enabled: bool = False
    threshold_percent: int = 0
    increment_gib: int = 0


class Database(Record):
    """A managed database cluster. ``deleted``: hidden from clients while the plane still removes it."""

    kind: ClassVar[str] = "database"
    id: str
    name: str
    engine: str
    version: str
    size: str
    region: str
    vpc_id: str
    num_nodes: int
    storage_mib: int
    status: Literal["creating", "online"] = "creating"
    tags: tuple[str, ...] = ()
    rules: tuple[TrustedSource, ...] = ()
    autoscale: StorageAutoscale | None = None
    service_cnames: tuple[str, ...] = ()
    public_ip: str
    private_ip: str
    public_host: str
    private_host: str
    port: int
    user: str
    password: str = Field(repr=False)
    database: str
    certificate: str
    private_key: str = Field(repr=False)
    deleted: bool = False
    error: str = ""
    created_at: str

    @property
    def key(self) -> str:
        return self.id

    @property
    def ref(self) -> str:
        """The machine's name towards the plane."""
        return f"database:{self.id}"


class Project(Record):
    """A project."""

    kind: ClassVar[str] = "project"
    id: str
    name: str
    description: str = ""
    purpose: str
    environment: str = ""
    is_default: bool = False
    created_at: str
    updated_at: str

    @property
    def key(self) -> str:
        return self.id


class Assignment(Record):
    """Which project a resource belongs to."""

    kind: ClassVar[str] = "assignment"
    urn: str
    project_id: str
    assigned_at: str

    @property
    def key(self) -> str:
        return self.urn


class Job(Record):
    """Work on the plane, recorded before it starts and forgotten once it is settled."""

    kind: ClassVar[str] = "job"
    id: int
    work: str
    ref: str
    action_id: int = 0
    arguments: dict[str, Any] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        return str(self.id)

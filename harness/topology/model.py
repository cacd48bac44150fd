"""What a topology file says, after validation: plain frozen data, names resolved, roles expanded.

``peers`` of firewall rules and ends of flows are one of: a droplet's name, a database's name (flows only),
``internet`` (any address), ``operators`` (the management CIDRs), ``vpc`` (the VPC's range), or a CIDR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

Protocol = Literal["tcp", "udp", "icmp"]
Engine = Literal["pg", "valkey", "mongodb"]
Order = Literal["start-first", "stop-first"]
Scheme = Literal["http", "https"]
Method = Literal["get", "post", "put", "delete"]

METHODS: tuple[Method, ...] = ("get", "post", "put", "delete")
PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp", "icmp")
INTERNET = "internet"
OPERATORS = "operators"
VPC = "vpc"

PORTS_OF: Mapping[Scheme, int] = {"http": 80, "https": 443}

# Where a managed database of each engine listens.
DATABASE_PORTS: Mapping[str, int] = {"pg": 25060, "valkey": 25061, "mongodb": 27017}
SSH_PORT = "22"

# A Cloud Firewall takes ten droplets but only five tags, and droplets are covered by their own tags.
TAGS_PER_FIREWALL = 5


@dataclass(frozen=True)
class Droplet:
    """One droplet; ``role`` groups droplets that run the same thing, and may stand for them in rules."""

    name: str
    size: str
    image: str
    role: str
    public_networking: bool
    user_data: str


@dataclass(frozen=True)
class Database:
    """One managed database cluster; ``trusted_sources`` are droplet names."""

    name: str
    engine: Engine
    version: str
    size: str
    nodes: int
    trusted_sources: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """One Cloud Firewall rule. ``ports`` as the API takes them: "22", "8000-9000", "0" for all."""

    protocol: Protocol
    ports: str
    peers: tuple[str, ...]


@dataclass(frozen=True)
class Firewall:
    """One Cloud Firewall and the droplets it covers."""

    name: str
    droplets: tuple[str, ...]
    inbound: tuple[Rule, ...]
    outbound: tuple[Rule, ...]


@dataclass(frozen=True)
class Flow:
    """One line of the intent: ``source`` may talk to ``destination`` on these ports, and nothing else may."""

    source: str
    destination: str
    protocol: Protocol
    ports: str


@dataclass(frozen=True)
class TemplateFile:
    """A jinja2 template rendered next to the service's compose file on its nodes."""

    template: Path
    target: str


@dataclass(frozen=True)
class BuildChange:
    """What the topology changes of how an image is built; "" and nothing: as the compose file says."""

    context: str = ""
    dockerfile: str = ""
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Changes:
    """What the topology says on top of a service's compose file. All texts are jinja2 expressions.

    * ``compose_files`` are merged into the first one, in their order, as with ``docker compose -f``.
    * ``run`` are the compose services that run, by droplet; None: those that Compose starts by itself.
    * ``environment`` are variables of single compose services, by their names.
    * ``publish`` are ports in Compose's short form, by compose service.
    * ``hosts`` are names that containers know, each with the droplets that it leads to.
    * ``upstreams`` are nginx configurations by their paths beside the compose file, each with the droplets
      for each name of a server; none: those of ``hosts``, and of services that ``run`` puts elsewhere.
    * ``build`` is by compose service.
    * ``tls_tunnel`` are databases that the containers reach without TLS, each with the port for that.
    * ``add`` are compose services beside the application's own, in Compose's syntax.
    * ``override`` is a compose document, merged last; its values may have Compose's tags.
    """

    compose_files: tuple[Path, ...] = ()
    run: Mapping[str, tuple[str, ...]] | None = None
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    publish: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    upstreams: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    build: Mapping[str, BuildChange] = field(default_factory=dict)
    tls_tunnel: Mapping[str, int] = field(default_factory=dict)
    add: Mapping[str, Any] = field(default_factory=dict)
    override: Mapping[str, Any] = field(default_factory=dict)

    def added(self, node: str) -> tuple[str, ...]:
        """Those of ``add`` that run on a droplet: where ``run`` names one, it runs nowhere else."""
        named = {name for names in (self.run or {}).values() for name in names}
        here = (self.run or {}).get(node, ())
        return tuple(name for name in self.add if name in here or name not in named)


@dataclass(frozen=True)
class Service:
    """A directory with a compose file, and the droplets it runs on.

    ``environment`` holds jinja2 expressions, rendered into ``.env``; ``health`` is a URL path and port
    asked on the node itself ("http://127.0.0.1:4000/health"), or empty: then running containers count.
    ``health_headers`` go with that request; their values are expressions, too.
    """

    name: str
    nodes: tuple[str, ...]
    compose: Path
    ports: tuple[int, ...]
    environment: Mapping[str, str]
    files: tuple[TemplateFile, ...]
    health: str
    changes: Changes = Changes()
    health_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Overlay:
    """The overlay network of a swarm. ``encrypted``: made with ``--opt encrypted``, which sends ESP.

    ``esp`` says how ESP (IP protocol 50) gets from member to member, where it is to: ``uncovered``, no
    member is covered by a Cloud Firewall, for these pass TCP, UDP and ICMP only. Empty where not encrypted.
    """

    name: str
    encrypted: bool = False
    esp: Literal["", "uncovered"] = ""


@dataclass(frozen=True)
class StackService:
    """A service of the swarm's stack, made from a compose file with one service or several.

    ``nodes`` are the droplets on which its tasks may run. ``environment`` holds jinja2 expressions;
    ``constraints`` are Docker's placement constraints, on top of ``nodes``. ``ports`` are published on the
    node of each task (mode host); a compose file's own are not, for services reach each other by name.
    ``order`` is the rolling update's. ``cap_add`` stands in for ``privileged: true``, which swarms ignore.
    ``replicas`` is how many tasks ``up`` begins with.
    """

    name: str
    nodes: tuple[str, ...]
    compose: Path
    ports: tuple[int, ...]
    environment: Mapping[str, str]
    files: tuple[TemplateFile, ...]
    replicas: int = 1
    constraints: tuple[str, ...] = ()
    order: Order = "start-first"
    cap_add: tuple[str, ...] = ()
    changes: Changes = Changes()


@dataclass(frozen=True)
class Swarm:
    """A Docker swarm of all the droplets: ``managers`` are in the order in which they are promoted.

    ``heartbeat`` is the dispatcher's, in seconds: a node that is silent for about three of them is ``Down``.
    ``stack`` is the name that the services are deployed under.
    """

    managers: tuple[str, ...]
    stack: str
    overlay: Overlay
    services: tuple[StackService, ...]
    heartbeat: int = 5


@dataclass(frozen=True)
class Management:
    """Who may log in: operator CIDRs to the bastion, the bastion to the rest. ``self`` means this machine."""

    bastion: str
    operators: tuple[str, ...]


@dataclass(frozen=True)
class FrontDoor:
    """How the checks submit a program at the front door, and where the JSON reply has its result.

    ``request`` maps each key of the JSON body to one of ``language`` (a name: python, c, cpp, bash,
    javascript), ``language_id`` (a number), ``source`` and ``stdin``. ``reply`` maps ``token``, ``status``,
    ``stdout``, ``stderr``, ``compile_output``, ``time`` and ``memory`` to dotted paths into the reply, as far
    as it has them. ``history`` is the path that lists earlier submissions, or empty.

    ``port`` speaks ``scheme``. ``server_name`` is what requests ask for, in ``Host`` and in TLS (SNI); empty:
    the address. ``headers`` go with every request; their values are jinja2 expressions. ``languages`` are
    the ids that the application takes, by our names; empty: Judge0's of all our languages. ``statuses`` are
    Judge0's statuses by the application's words or numbers, as text.
    """

    node: str
    path: str
    request: Mapping[str, str]
    reply: Mapping[str, str]
    history: str = ""
    scheme: Scheme = "http"
    port: int = 80
    server_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    languages: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Judge0Endpoint:
    """Where the checks find Judge0's own API: ``node``:``port``, asked from the node ``source``.

    In a swarm ``service`` is the stack's service that listens on ``port``, and the other two are empty: it is
    asked at whichever node its task runs on. ``workers`` are the nodes on which programs are run.
    ``headers`` go with every request, such as ``X-Auth-Token``; their values are jinja2 expressions.
    """

    node: str
    port: int
    source: str
    workers: tuple[str, ...] = ()
    service: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunnerEndpoint:
    """Where the runner takes what the front door passes on, in the same form: ``node``:``port``.

    It is asked as a :class:`Judge0Endpoint` is. ``path``, ``request``, ``reply``, ``languages`` and
    ``statuses`` are as a :class:`FrontDoor` has them, and the front door's unless it says otherwise.
    """

    node: str
    port: int
    source: str
    path: str = ""
    service: str = ""
    request: Mapping[str, str] = field(default_factory=dict)
    reply: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    languages: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class AppRequest:
    """A request to the front door, and the answer that is right.

    ``path`` and the texts in ``json`` (the body; None: there is none) and in ``expected`` may hold jinja2
    expressions. ``expected`` is what the JSON of the answer must have at least; None: anything will do.
    """

    method: Method
    path: str
    json: Any = None
    status: int = 200
    expected: Any = None

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


@dataclass(frozen=True)
class Checks:
    """What the end-to-end checks need to know of the application; None: those checks are left out.

    ``runner`` is for load that leaves the front door out. ``requests`` are made at the front door, in order.
    """

    front_door: FrontDoor | None = None
    judge0: Judge0Endpoint | None = None
    runner: RunnerEndpoint | None = None
    requests: tuple[AppRequest, ...] = ()


@dataclass(frozen=True)
class Objectives:
    """The objectives of the deployment under load; a limit that is None is not checked.

    ``workload`` is a name or an absolute path. ``rate`` arrivals a second come at random (Poisson).
    ``p95_ms`` and ``p99_ms`` bound the time from the intended start to the final status, ``errors`` (a share)
    what is not judged as it must be; ``throughput`` is the least that must be judged right a second.
    ``worse_by`` is the smallest change against a baseline that matters, as a share of it.
    """

    workload: str = "hello"
    rate: float = 10.0
    p95_ms: float | None = None
    p99_ms: float | None = None
    errors: float | None = None
    throughput: float | None = None
    worse_by: float = 0.1


@dataclass(frozen=True)
class Secret:
    """A secret: a variable of this machine's environment has its value, or a file, or it is generated.

    ``environment`` is the variable's name, ``file`` an absolute path; "" and None for a generated one.
    """

    name: str
    environment: str = ""
    file: Path | None = None

    @property
    def generated(self) -> bool:
        """Whether its value is random, one for each run."""
        return not self.environment and self.file is None


@dataclass(frozen=True)
class Topology:
    """A whole deployment plan, as data.

    ``services`` are plain compose projects on their nodes; those of a swarm's stack are in ``swarm``.
    ``emulated_droplets`` is what an emulator's droplets are to be; None: whatever they are.
    """

    name: str
    file: Path
    region: str
    ip_range: str | None
    droplets: Mapping[str, Droplet]
    databases: Mapping[str, Database]
    firewalls: tuple[Firewall, ...]
    intent: tuple[Flow, ...]
    services: tuple[Service, ...]
    management: Management
    app: Path
    checks: Checks = Checks()
    swarm: Swarm | None = None
    objectives: Objectives | None = None
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    emulated_droplets: str | None = None

    def all_firewalls(self) -> tuple[Firewall, ...]:
        """The declared firewalls and those that ``management`` implies, none over the limit of droplets.

        It implies none where members of a swarm are to be uncovered: nothing stops log-ins there.
        """
        if self.swarm and self.swarm.overlay.esp == "uncovered":
            return tuple(part for firewall in self.firewalls for part in split(firewall))
        bastion = self.management.bastion
        others = tuple(name for name in self.droplets if name != bastion)
        to_others = (Rule("tcp", SSH_PORT, others),) if others else ()
        from_operators = (Rule("tcp", SSH_PORT, (OPERATORS,)),)
        from_bastion = (Rule("tcp", SSH_PORT, (bastion,)),)
        whole = (
            *self.firewalls,
            Firewall("management-bastion", (bastion,), from_operators, to_others),
            Firewall("management-nodes", others, from_bastion, ()),
        )
        return tuple(part for firewall in whole for part in split(firewall))


def split(firewall: Firewall) -> tuple[Firewall, ...]:
    """The firewall as several of the same rules, ``NAME``, ``NAME-2``, ..., each within the limit."""
    starts = range(0, len(firewall.droplets), TAGS_PER_FIREWALL)
    return tuple(
        replace(
            firewall,
            name=f"{firewall.name}-{number}" if number > 1 else firewall.name,
            droplets=firewall.droplets[start : start + TAGS_PER_FIREWALL],
        )
        for number, start in enumerate(starts, 1)
    )

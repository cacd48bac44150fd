"""Managed databases: PostgreSQL, Valkey and MongoDB clusters and their trusted sources.

DigitalOcean has no status for a cluster that could not be made: it stays ``creating``, with the plane's
reason in ``error``.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, get_args

from emulator.cloud import projects, tags, vpcs
from emulator.cloud.addresses import free_private, free_public
from emulator.cloud.catalogue import DATABASE_SIZES, REGIONS
from emulator.cloud.certificates import Pair, issue
from emulator.cloud.clock import now
from emulator.cloud.errors import NotFoundError, NotOfferedError, UnprocessableError
from emulator.cloud.jobs import job
from emulator.cloud.machines import database_spec
from emulator.cloud.models import Assignment, Database, Droplet, Job, StorageAutoscale, TrustedSource
from emulator.planes.base import PlaneError

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

NAME = re.compile(r"[a-z](?:[a-z0-9-]{1,61})[a-z0-9]")
ACCOUNT_NUMBER = 1234567
MOST_RULES = 100
METRICS_PORT = 9273
AUTOSCALE = {"threshold_percent": (15, 95), "increment_gib": (10, 500)}
MOST_CNAMES, LONGEST_CNAME = 16, 253
_LABEL = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"
CNAME = re.compile(rf"{_LABEL}(\.{_LABEL})+")
HOST_LABEL = 63  # RFC 1035, section 2.3.4


@dataclass(frozen=True)
class Engine:
    """An engine on offer: its versions (the first is the default), port, user and database.

    ``elsewhere`` are versions that DigitalOcean has and this emulator cannot run.
    """

    versions: tuple[str, ...]
    elsewhere: tuple[str, ...]
    port: int
    user: str
    database: str
    nodes: tuple[int, ...] = (1, 2, 3)


ENGINES: Mapping[str, Engine] = {
    "pg": Engine(("15",), ("13", "14", "16", "17", "18"), 25060, "doadmin", "defaultdb"),
    "valkey": Engine(("8",), (), 25061, "default", "", (1, 2)),
    "mongodb": Engine(("7",), ("6", "8"), 27017, "doadmin", "defaultdb", (1, 3)),
}
ELSEWHERE = ("mysql", "kafka", "opensearch", "advanced_pg", "advanced_mysql")


@dataclass(frozen=True)
class SourceRequest:
    """A trusted source as a client names it."""

    type: str
    value: str
    description: str = ""


@dataclass(frozen=True)
class CreateRequest:
    """A request for a new cluster. Empty ``version``, ``vpc_id``: the default."""

    name: str
    engine: str
    size: str
    region: str
    num_nodes: int
    version: str = ""
    vpc_id: str = ""
    tags: Sequence[str] = ()
    rules: Sequence[SourceRequest] = ()
    project_id: str = ""
    storage_mib: int = 0
    autoscale: StorageAutoscale | None = None
    service_cnames: Sequence[str] = ()


def create(cloud: Cloud, request: CreateRequest) -> Database:
    """Make a cluster, ``creating`` until it takes connections."""
    engine = _check(request)
    with cloud.store.transaction():
        if any(database.name == request.name for database in listed(cloud)):
            raise UnprocessableError("cluster name is not available")
        if len(listed(cloud)) >= cloud.limits.databases:
            raise UnprocessableError("creating this database will exceed your limit")
        vpc = vpcs.in_region(cloud, request.vpc_id, request.region)
        used = vpcs.used_addresses(cloud)
        public_ip, private_ip = free_public(used), free_private(vpc.ip_range, used)
        hosts = _hosts(request.name)
        account = cloud.account
        names = (*hosts, *request.service_cnames)
        pair = issue(Pair(account.ca_certificate, account.ca_key), names, (public_ip, private_ip))
        database = cloud.store.put(
            Database(
                id=str(uuid.uuid4()),
                name=request.name,
                engine=request.engine,
                version=request.version or engine.versions[0],
                size=request.size,
                region=request.region,
                vpc_id=vpc.id,
                num_nodes=request.num_nodes,
                storage_mib=request.storage_mib or DATABASE_SIZES[request.size].storage_mib,
                tags=tags.ensure(cloud, request.tags),
                rules=_sources(cloud, request.rules),
                autoscale=request.autoscale,
                service_cnames=tuple(request.service_cnames),
                public_ip=public_ip,
                private_ip=private_ip,
                public_host=hosts[0],
                private_host=hosts[1],
                port=engine.port,
                user=engine.user,
                password=f"AVNS_{secrets.token_urlsafe(15).replace('-', 'x').replace('_', 'y')}",
                database=engine.database,
                certificate=pair.certificate,
                private_key=pair.key,
                created_at=now(),
            )
        )
        if request.project_id:
            projects.assign(cloud, request.project_id, [f"do:dbaas:{database.id}"])
        cloud.jobs.submit("database.create", database.ref)
        cloud.network.changed()
    return database


def get(cloud: Cloud, database_id: str) -> Database:
    """One cluster. Raises ``NotFoundError``."""
    database = cloud.store.get(Database, database_id)
    if database is None or database.deleted:
        raise NotFoundError("cluster not found")
    return database


def listed(cloud: Cloud, *, tag: str = "") -> list[Database]:
    """All clusters, or those that carry a tag."""
    return [
        database
        for database in cloud.store.all(Database)
        if not database.deleted and (not tag or tags.carries(database.tags, tag))
    ]


def delete(cloud: Cloud, database_id: str) -> None:
    """Destroy a cluster and its data."""
    with cloud.store.transaction():
        database = get(cloud, database_id)
        cloud.store.put(database.model_copy(update={"deleted": True}))
        assignment = cloud.store.get(Assignment, f"do:dbaas:{database.id}")
        if assignment is not None:
            cloud.store.delete(assignment)
        cloud.jobs.submit("database.destroy", database.ref)
        cloud.network.changed()


def trust(cloud: Cloud, database_id: str, rules: Sequence[SourceRequest]) -> None:
    """Replace a cluster's trusted sources; one that was there keeps its id and its date."""
    with cloud.store.transaction():
        database = get(cloud, database_id)
        kept: dict[tuple[str, str], TrustedSource] = {
            (rule.type, rule.value): rule for rule in database.rules
        }
        sources = _sources(cloud, rules, kept)
        cloud.store.put(database.model_copy(update={"rules": sources}))
        cloud.network.changed()


def set_autoscale(cloud: Cloud, database_id: str, autoscale: StorageAutoscale) -> None:
    """Keep when a cluster's storage is to grow. It never does: nothing here fills a disk of its own."""
    with cloud.store.transaction():
        _check_autoscale(autoscale)
        cloud.store.put(get(cloud, database_id).model_copy(update={"autoscale": autoscale}))


def uri(database: Database, *, private: bool) -> str:
    """The connection string through the public or the private host.

    MongoDB's is ``mongodb://`` with host and port, where DigitalOcean's is ``mongodb+srv://``: a single node
    needs no SRV record.
    """
    host = database.private_host if private else database.public_host
    where = f"{database.user}:{database.password}@{host}:{database.port}"
    if database.engine == "pg":
        return f"postgresql://{where}/{database.database}?sslmode=require"
    if database.engine == "valkey":
        return f"rediss://{where}"
    return f"mongodb://{where}/{database.database}?tls=true&authSource=admin"


def _check(request: CreateRequest) -> Engine:
    engine = _engine(request)
    if not NAME.fullmatch(request.name):
        raise UnprocessableError(
            "invalid name: 3 to 63 lower-case letters, numbers and dashes, beginning with a letter"
        )
    label = _hosts(request.name)[1].partition(".")[0]
    if len(label) > HOST_LABEL:
        over = len(label) - HOST_LABEL
        raise UnprocessableError(f"invalid name: {over} characters too long to be part of a host name")
    if request.region not in REGIONS or not REGIONS[request.region].available:
        raise UnprocessableError("invalid region")
    if request.size not in DATABASE_SIZES:
        raise UnprocessableError("invalid size")
    if request.autoscale is not None:
        _check_autoscale(request.autoscale)
    _check_cnames(request.service_cnames)
    if request.num_nodes not in engine.nodes:
        raise UnprocessableError(f"invalid node count for {request.engine}: {request.num_nodes}")
    if request.num_nodes != 1:
        raise NotOfferedError("a database cluster of more than one node")
    return engine


def _check_autoscale(autoscale: StorageAutoscale) -> None:
    for name, (least, most) in AUTOSCALE.items():
        value = getattr(autoscale, name)
        if value and not least <= value <= most:
            raise UnprocessableError(f"invalid storage autoscale: {name} must be between {least} and {most}")


def _check_cnames(names: Sequence[str]) -> None:
    if len(names) > MOST_CNAMES:
        raise UnprocessableError(f"at most {MOST_CNAMES} service_cnames are allowed")
    for name in names:
        if not CNAME.fullmatch(name) or len(name) > LONGEST_CNAME:
            raise UnprocessableError(f"invalid service_cnames: {name!r} is not a host name")


def _hosts(name: str) -> tuple[str, str]:
    """The public host name and the private one."""
    host = f"{name}-do-user-{ACCOUNT_NUMBER}-0.db.ondigitalocean.com"
    return host, f"private-{host}"


def _engine(request: CreateRequest) -> Engine:
    if request.engine == "redis":
        raise UnprocessableError("invalid engine: redis is no longer offered for new clusters; use valkey")
    if request.engine in ELSEWHERE:
        raise NotOfferedError(f"the database engine {request.engine}")
    engine = ENGINES.get(request.engine)
    if engine is None:
        raise UnprocessableError(f"invalid engine: {request.engine!r}")
    if request.version in engine.elsewhere:
        raise NotOfferedError(f"{request.engine} version {request.version}")
    if request.version and request.version not in engine.versions:
        raise UnprocessableError(f"invalid version for {request.engine}: {request.version!r}")
    return engine


def _sources(
    cloud: Cloud,
    rules: Sequence[SourceRequest],
    kept: Mapping[tuple[str, str], TrustedSource] | None = None,
) -> tuple[TrustedSource, ...]:
    """The sources that ``rules`` name; what is ``kept`` may name a droplet that is gone."""
    if len(rules) > MOST_RULES:
        raise UnprocessableError(f"at most {MOST_RULES} firewall rules are allowed")
    known = kept or {}
    asked = {(rule.type, rule.value): rule for rule in reversed(rules)}
    return tuple(
        (known.get(key) or _source(cloud, *key)).model_copy(update={"description": asked[key].description})
        for key in dict.fromkeys((rule.type, rule.value) for rule in rules)
    )


def _source(cloud: Cloud, kind: str, value: str) -> TrustedSource:
    if kind in ("k8s", "app"):
        raise NotOfferedError(f"the trusted source type {kind}")
    if kind == "ip_addr":
        _check_source_address(value)
    elif kind == "droplet":
        droplet = cloud.store.get(Droplet, value)
        if droplet is None or droplet.deleted:
            raise UnprocessableError(f"invalid firewall rule: droplet {value!r} not found")
    elif kind == "tag":
        value = tags.known(cloud, [value])[0]
    else:
        known = ", ".join(get_args(TrustedSource.model_fields["type"].annotation))
        raise UnprocessableError(f"invalid firewall rule type {kind!r}: one of {known}")
    return TrustedSource.model_validate(
        {"uuid": str(uuid.uuid4()), "type": kind, "value": value, "created_at": now()}
    )


def _check_source_address(value: str) -> None:
    try:
        IPv4Network(value, strict=False)
    except ValueError as error:
        raise UnprocessableError(
            f"invalid firewall rule: {value!r} is not an IPv4 address or CIDR"
        ) from error


def _made(cloud: Cloud, job_: Job, error: str) -> None:
    database = cloud.store.get(Database, _id_of(job_))
    if database is not None and not database.deleted:
        status = "creating" if error else "online"
        cloud.store.put(database.model_copy(update={"status": status, "error": error}))


@job("database.create", settle=_made)
def _make(cloud: Cloud, job_: Job) -> None:
    database = cloud.store.get(Database, _id_of(job_))
    if database is not None and not database.deleted:
        cloud.plane.create_database(database_spec(cloud, database), cloud.network.policy())


@job("database.start", settle=_made)
def _start(cloud: Cloud, job_: Job) -> None:
    """One that was there: if it is there no longer, its data is lost, and a new one must not hide that."""
    if job_.ref not in cloud.plane.existing().machines:
        raise PlaneError("its container is gone, and its data with it; destroy the cluster")
    _make(cloud, job_)


def _removed(cloud: Cloud, job_: Job, error: str) -> None:
    database = cloud.store.get(Database, _id_of(job_))
    if database is None:
        return
    if error:
        cloud.store.put(database.model_copy(update={"error": f"not removed yet: {error}"}))
        cloud.jobs.retry(job_)
        return
    cloud.store.delete(database)


@job("database.destroy", settle=_removed, interrupts=True)
def _remove(cloud: Cloud, job_: Job) -> None:
    cloud.plane.destroy_database(_id_of(job_))


def _id_of(job_: Job) -> str:
    return job_.ref.partition(":")[2]

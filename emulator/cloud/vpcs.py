"""VPCs: private networks of a region."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.cloud.addresses import check_range, free_range
from emulator.cloud.catalogue import REGIONS
from emulator.cloud.clock import now
from emulator.cloud.errors import ConflictError, ForbiddenError, NotFoundError, UnprocessableError
from emulator.cloud.models import Assignment, Database, Droplet, Vpc

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

NAME = re.compile(r"[a-zA-Z0-9.-]+")


@dataclass(frozen=True)
class Member:
    """A resource in a VPC. ``kind`` is as in URNs: droplet, dbaas."""

    kind: str
    id: str
    name: str
    created_at: str

    @property
    def urn(self) -> str:
        """``do:droplet:1``."""
        return f"do:{self.kind}:{self.id}"


def seed(cloud: Cloud) -> None:
    """Give every region its default VPC."""
    there = {vpc.region for vpc in cloud.store.all(Vpc) if vpc.default}
    for number, region in enumerate(REGIONS):
        if region not in there:
            ip_range = f"10.{110 + number}.0.0/20"
            cloud.store.put(
                Vpc(
                    id=str(uuid.uuid4()), name=f"default-{region}", region=region, ip_range=ip_range,
                    default=True, created_at=now(),
                )
            )  # fmt: skip


def create(cloud: Cloud, *, name: str, region: str, ip_range: str = "", description: str = "") -> Vpc:
    """Make a VPC; without ``ip_range`` it gets a free /20 of its own."""
    if region not in REGIONS:
        raise UnprocessableError("region is not valid")
    with cloud.store.transaction():
        vpcs = cloud.store.all(Vpc)
        _check_name(name, vpcs)
        used = [vpc.ip_range for vpc in vpcs]
        chosen = check_range(ip_range, used) if ip_range else free_range(used)
        return cloud.store.put(
            Vpc(
                id=str(uuid.uuid4()), name=name, description=description, region=region, ip_range=chosen,
                created_at=now(),
            )
        )  # fmt: skip


def get(cloud: Cloud, vpc_id: str) -> Vpc:
    """One VPC. Raises ``NotFoundError``."""
    vpc = cloud.store.get(Vpc, vpc_id)
    if vpc is None:
        raise NotFoundError
    return vpc


def default(cloud: Cloud, region: str) -> Vpc:
    """The region's default VPC."""
    return next(vpc for vpc in cloud.store.all(Vpc) if vpc.default and vpc.region == region)


def in_region(cloud: Cloud, vpc_id: str, region: str) -> Vpc:
    """The VPC for a new resource: the one given, or the region's default. Raises ``UnprocessableError``."""
    if not vpc_id:
        return default(cloud, region)
    vpc = cloud.store.get(Vpc, vpc_id)
    if vpc is None:
        raise UnprocessableError("Failed to resolve VPC")
    if vpc.region != region:
        raise UnprocessableError(f"VPC {vpc.name} is in region {vpc.region}, not in {region}")
    return vpc


def update(
    cloud: Cloud, vpc_id: str, *, name: str | None, description: str | None, make_default: bool | None
) -> Vpc:
    """Change what is given; a new default takes the place of the old one."""
    with cloud.store.transaction():
        vpc = get(cloud, vpc_id)
        if name is not None and name != vpc.name:
            _check_name(name, cloud.store.all(Vpc))
            vpc = vpc.model_copy(update={"name": name})
        if description is not None:
            vpc = vpc.model_copy(update={"description": description})
        if make_default and not vpc.default:
            cloud.store.put(default(cloud, vpc.region).model_copy(update={"default": False}))
            vpc = vpc.model_copy(update={"default": True})
        return cloud.store.put(vpc)


def delete(cloud: Cloud, vpc_id: str) -> None:
    """Remove a VPC that is empty and not a default."""
    with cloud.store.transaction():
        vpc = get(cloud, vpc_id)
        if vpc.default:
            raise ForbiddenError("Can not delete default VPCs")
        if members(cloud, vpc):
            raise ConflictError("Can not delete VPC with members")
        assignment = cloud.store.get(Assignment, f"do:vpc:{vpc.id}")
        if assignment is not None:
            cloud.store.delete(assignment)
        cloud.store.delete(vpc)


def members(cloud: Cloud, vpc: Vpc) -> list[Member]:
    """What is in a VPC, machines still being removed among them: they hold their addresses."""
    droplets = [
        Member("droplet", droplet.key, droplet.name, droplet.created_at)
        for droplet in cloud.store.all(Droplet)
        if droplet.vpc_id == vpc.id
    ]
    databases = [
        Member("dbaas", database.id, database.name, database.created_at)
        for database in cloud.store.all(Database)
        if database.vpc_id == vpc.id
    ]
    return droplets + databases


def used_addresses(cloud: Cloud) -> set[str]:
    """Every address some machine holds."""
    used = {address for droplet in cloud.store.all(Droplet) for address in droplet.addresses}
    for database in cloud.store.all(Database):
        used |= {database.public_ip, database.private_ip}
    return used


def _check_name(name: str, vpcs: list[Vpc]) -> None:
    if not name:
        raise UnprocessableError("name can't be blank")
    if not NAME.fullmatch(name):
        raise UnprocessableError("name can only contain alphanumeric characters, dashes, and periods")
    if any(vpc.name == name for vpc in vpcs):
        raise UnprocessableError(f"VPC names must be unique in your account: {name!r} is taken")

"""From records to what a plane is asked to make: droplet and database specifications, with their metadata."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from emulator.cloud import vpcs
from emulator.cloud.addresses import RESOLVER, private_address, public_address
from emulator.cloud.catalogue import DATABASE_SIZES, SIZES
from emulator.cloud.models import Database, Droplet, LinkQuality
from emulator.planes.base import PERFECT, Address, DatabaseSpec, DropletSpec, Quality

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

DATABASE_MEMORY_MB = 1024


def droplet_spec(cloud: Cloud, droplet: Droplet) -> DropletSpec:
    """What the plane needs for a droplet; the same record gives the same specification."""
    size, vpc = SIZES[droplet.size], vpcs.get(cloud, droplet.vpc_id)
    public = public_address(droplet.public_ip) if droplet.public_ip else None
    private = private_address(droplet.private_ip, vpc.ip_range)
    return DropletSpec(
        id=droplet.id,
        name=droplet.name,
        image=droplet.image,
        vcpus=size.vcpus,
        memory_mb=size.memory,
        vpc_id=vpc.id,
        vpc_range=vpc.ip_range,
        public=public,
        private=private,
        authorized_keys=droplet.ssh_keys,
        user_data=droplet.user_data,
        metadata=metadata(droplet, public, private),
        quality=quality_of(cloud, droplet),
    )


def quality_of(cloud: Cloud, droplet: Droplet) -> Quality:
    """The quality that a droplet's links are set to."""
    found = cloud.store.get(LinkQuality, droplet.id)
    return Quality(**found.model_dump(exclude={"droplet_id"})) if found else PERFECT


def database_spec(cloud: Cloud, database: Database) -> DatabaseSpec:
    """What the plane needs for a database cluster."""
    vpc = vpcs.get(cloud, database.vpc_id)
    return DatabaseSpec(
        id=database.id,
        name=database.name,
        engine=database.engine,
        version=database.version,
        memory_mb=DATABASE_MEMORY_MB,
        vpc_id=vpc.id,
        vpc_range=vpc.ip_range,
        public=public_address(database.public_ip),
        private=private_address(database.private_ip, vpc.ip_range),
        public_host=database.public_host,
        private_host=database.private_host,
        port=database.port,
        user=database.user,
        password=database.password,
        database=database.database,
        ca=cloud.account.ca_certificate,
        certificate=database.certificate,
        key=database.private_key,
        max_connections=DATABASE_SIZES[database.size].max_connections if database.engine == "pg" else 0,
    )


def metadata(droplet: Droplet, public: Address | None, private: Address) -> dict[str, Any]:
    """The droplet's ``/metadata/v1.json``."""
    interfaces = {"private": [_interface(private, "private", droplet.id)]}
    if public is not None:
        interfaces["public"] = [_interface(public, "public", droplet.id)]
    return {
        "droplet_id": droplet.id,
        "hostname": droplet.name,
        "user_data": droplet.user_data,
        "vendor_data": "",
        "public_keys": list(droplet.ssh_keys),
        "region": droplet.region,
        "interfaces": interfaces,
        "floating_ip": {"ipv4": {"active": False}},
        "reserved_ip": {"ipv4": {"active": False}},
        "dns": {"nameservers": [str(RESOLVER)]},
        "tags": list(droplet.tags),
        "features": {"dhcp_enabled": False},
    }


def mac(droplet_id: int, kind: str) -> str:
    """A locally administered hardware address, the same for the same droplet and interface."""
    tail = (droplet_id & 0xFFFFFFFF).to_bytes(4, "big").hex(":")
    return f"{'02' if kind == 'public' else '06'}:00:{tail}"


def _interface(address: Address, kind: str, droplet_id: int) -> dict[str, Any]:
    netmask = str(IPv4Network(f"0.0.0.0/{address.prefix}").netmask)
    ipv4 = {"ip_address": address.ip, "netmask": netmask, "gateway": address.gateway}
    return {"ipv4": ipv4, "mac": mac(droplet_id, kind), "type": kind}

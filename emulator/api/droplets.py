"""Droplets."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from emulator.api import fields
from emulator.api.actions import action_link
from emulator.api.catalogue import image_view, region_view, size_view
from emulator.api.firewalls import firewall_views
from emulator.api.http import Request, Response
from emulator.api.pages import page
from emulator.api.routing import Routes
from emulator.cloud import droplets, firewalls, vpcs
from emulator.cloud.addresses import private_address, public_address
from emulator.cloud.catalogue import IMAGES, REGIONS, SIZES
from emulator.cloud.errors import BadRequestError, NotOfferedError
from emulator.cloud.models import Droplet
from emulator.planes.base import Address

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

ROUTES = Routes("Droplets")


@ROUTES.on("GET", "/v2/droplets", "droplets_list")
def _list(cloud: Cloud, request: Request) -> Response:
    query = request.query
    if query.get("type") == "gpus":
        return page(request, "droplets", [])
    found = droplets.listed(cloud, tag=query.get("tag_name", ""), name=query.get("name", ""))
    return page(request, "droplets", [droplet_view(cloud, droplet) for droplet in found])


@ROUTES.on("POST", "/v2/droplets", "droplets_create")
def _create(cloud: Cloud, request: Request) -> Response:
    body = request.json()
    several = body.get("names") is not None
    names = fields.texts(body, "names") if several else [fields.text(body, "name", None)]
    made = droplets.create(cloud, _create_request(body, names))
    links = {"actions": [action_link(request, action, "create") for _, action in made]}
    shown = [droplet_view(cloud, droplet) for droplet, _ in made]
    return Response(
        202, {"droplets": shown, "links": links} if several else {"droplet": shown[0], "links": links}
    )


@ROUTES.on("DELETE", "/v2/droplets", "droplets_destroy_byTag")
def _delete_by_tag(cloud: Cloud, request: Request) -> Response:
    tag = request.query.get("tag_name", "")
    if not tag:
        raise BadRequestError("tag_name is required")
    droplets.delete_tagged(cloud, tag)
    return Response(204)


@ROUTES.on("GET", "/v2/droplets/{droplet_id}", "droplets_get")
def _get(cloud: Cloud, request: Request) -> Response:
    return Response(200, {"droplet": droplet_view(cloud, droplets.get(cloud, request.params["droplet_id"]))})


@ROUTES.on("DELETE", "/v2/droplets/{droplet_id}", "droplets_destroy")
def _delete(cloud: Cloud, request: Request) -> Response:
    droplets.delete(cloud, request.params["droplet_id"])
    return Response(204)


@ROUTES.on("GET", "/v2/droplets/{droplet_id}/firewalls", "droplets_list_firewalls")
def _firewalls(cloud: Cloud, request: Request) -> Response:
    covering = firewalls.of_droplet(cloud, droplets.get(cloud, request.params["droplet_id"]))
    return page(request, "firewalls", firewall_views(cloud, covering))


def _create_request(body: fields.Body, names: list[str]) -> droplets.CreateRequest:
    for feature in ("backups", "ipv6"):
        if fields.flag(body, feature, default=False):
            raise NotOfferedError(f"a droplet with {feature}")
    if fields.array(body, "volumes"):
        raise NotOfferedError("a droplet with volumes")
    return droplets.CreateRequest(
        names=names,
        region=fields.text(body, "region"),
        size=fields.text(body, "size", None),
        image=fields.word(body, "image"),
        ssh_keys=fields.words(body, "ssh_keys"),
        tags=fields.texts(body, "tags"),
        user_data=fields.text(body, "user_data"),
        vpc_id=fields.text(body, "vpc_uuid"),
        public=fields.flag(body, "public_networking", default=True),
        monitoring=fields.flag(body, "monitoring", default=False),
    )


def droplet_view(cloud: Cloud, droplet: Droplet) -> dict[str, Any]:
    """A droplet as the API shows it."""
    size, vpc = SIZES[droplet.size], vpcs.get(cloud, droplet.vpc_id)
    v4 = [_network(private_address(droplet.private_ip, vpc.ip_range), "private")]
    if droplet.public_ip:
        v4.insert(0, _network(public_address(droplet.public_ip), "public"))
    return {
        "id": droplet.id,
        "name": droplet.name,
        "memory": size.memory,
        "vcpus": size.vcpus,
        "disk": droplet.disk_gb,
        "disk_info": [{"type": "local", "size": {"amount": droplet.disk_gb, "unit": "gib"}}],
        "locked": droplet.locked,
        "status": droplet.status,
        "kernel": None,
        "created_at": droplet.created_at,
        "features": list(droplet.features),
        "backup_ids": [],
        "next_backup_window": None,
        "snapshot_ids": [],
        "image": image_view(IMAGES[droplet.image]),
        "volume_ids": [],
        "size": size_view(size),
        "size_slug": size.slug,
        "networks": {"v4": v4, "v6": []},
        "region": region_view(REGIONS[droplet.region]),
        "tags": list(droplet.tags),
        "vpc_uuid": vpc.id,
    }


def _network(address: Address, kind: str) -> dict[str, Any]:
    return {
        "ip_address": address.ip,
        "netmask": _netmask(address.prefix),
        "gateway": address.gateway,
        "type": kind,
    }


@cache
def _netmask(prefix: int) -> str:
    return str(IPv4Network(f"0.0.0.0/{prefix}").netmask)

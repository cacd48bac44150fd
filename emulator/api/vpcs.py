"""VPCs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.api import fields
from emulator.api.http import Request, Response
from emulator.api.pages import page
from emulator.api.routing import Routes
from emulator.cloud import vpcs
from emulator.cloud.models import Vpc

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

ROUTES = Routes("VPCs")


@ROUTES.on("GET", "/v2/vpcs", "vpcs_list")
def _list(cloud: Cloud, request: Request) -> Response:
    return page(request, "vpcs", [vpc_view(vpc) for vpc in cloud.store.all(Vpc)])


@ROUTES.on("POST", "/v2/vpcs", "vpcs_create")
def _create(cloud: Cloud, request: Request) -> Response:
    body = request.json()
    vpc = vpcs.create(
        cloud,
        name=fields.text(body, "name", None),
        region=fields.text(body, "region", None),
        ip_range=fields.text(body, "ip_range"),
        description=fields.text(body, "description"),
    )
    return Response(201, {"vpc": vpc_view(vpc)})


@ROUTES.on("GET", "/v2/vpcs/{vpc_id}", "vpcs_get")
def _get(cloud: Cloud, request: Request) -> Response:
    return Response(200, {"vpc": vpc_view(vpcs.get(cloud, request.params["vpc_id"]))})


@ROUTES.on("PUT", "/v2/vpcs/{vpc_id}", "vpcs_update")
def _update(cloud: Cloud, request: Request) -> Response:
    body = request.json()
    name = fields.text(body, "name", None)
    return _change(cloud, request, name=name, description=fields.text(body, "description"))


@ROUTES.on("PATCH", "/v2/vpcs/{vpc_id}", "vpcs_patch")
def _patch(cloud: Cloud, request: Request) -> Response:
    body = request.json()
    name = fields.optional_text(body, "name")
    return _change(cloud, request, name=name, description=fields.optional_text(body, "description"))


@ROUTES.on("DELETE", "/v2/vpcs/{vpc_id}", "vpcs_delete")
def _delete(cloud: Cloud, request: Request) -> Response:
    vpcs.delete(cloud, request.params["vpc_id"])
    return Response(204)


@ROUTES.on("GET", "/v2/vpcs/{vpc_id}/members", "vpcs_list_members")
def _members(cloud: Cloud, request: Request) -> Response:
    members = vpcs.members(cloud, vpcs.get(cloud, request.params["vpc_id"]))
    kind = request.query.get("resource_type", "")
    shown = [
        {"urn": member.urn, "name": member.name, "created_at": member.created_at}
        for member in members
        if kind in ("", member.kind)
    ]
    return page(request, "members", shown)


def _change(cloud: Cloud, request: Request, *, name: str | None, description: str | None) -> Response:
    make_default = fields.optional_flag(request.json(), "default")
    vpc = vpcs.update(
        cloud, request.params["vpc_id"], name=name, description=description, make_default=make_default
    )
    return Response(200, {"vpc": vpc_view(vpc)})


def vpc_view(vpc: Vpc) -> dict[str, Any]:
    """A VPC as the API shows it."""
    return {
        "id": vpc.id,
        "urn": f"do:vpc:{vpc.id}",
        "name": vpc.name,
        "description": vpc.description,
        "region": vpc.region,
        "ip_range": vpc.ip_range,
        "created_at": vpc.created_at,
        "default": vpc.default,
    }

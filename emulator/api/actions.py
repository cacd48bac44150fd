"""Actions, and what can be done to droplets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.api import fields
from emulator.api.catalogue import region_view
from emulator.api.http import Request, Response
from emulator.api.pages import page
from emulator.api.routing import Routes
from emulator.cloud import actions, droplet_actions, droplets
from emulator.cloud.catalogue import REGIONS
from emulator.cloud.errors import NotFoundError
from emulator.cloud.models import Action

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

ROUTES = Routes("Actions")


@ROUTES.on("GET", "/v2/actions", "actions_list")
def _list(cloud: Cloud, request: Request) -> Response:
    return page(request, "actions", [action_view(action) for action in actions.newest_first(cloud)])


@ROUTES.on("GET", "/v2/actions/{action_id}", "actions_get")
def _get(cloud: Cloud, request: Request) -> Response:
    return Response(200, {"action": action_view(actions.get(cloud, request.params["action_id"]))})


@ROUTES.on("GET", "/v2/droplets/{droplet_id}/actions", "dropletActions_list")
def _list_of_droplet(cloud: Cloud, request: Request) -> Response:
    droplet = droplets.get(cloud, request.params["droplet_id"])
    return page(request, "actions", [action_view(a) for a in actions.newest_first(cloud, droplet.id)])


@ROUTES.on("GET", "/v2/droplets/{droplet_id}/actions/{action_id}", "dropletActions_get")
def _get_of_droplet(cloud: Cloud, request: Request) -> Response:
    action = actions.get(cloud, request.params["action_id"])
    if str(action.resource_id) != request.params["droplet_id"]:
        raise NotFoundError
    return Response(200, {"action": action_view(action)})


@ROUTES.on("POST", "/v2/droplets/{droplet_id}/actions", "dropletActions_post")
def _post(cloud: Cloud, request: Request) -> Response:
    body = request.json()
    type_ = fields.text(body, "type", None)
    action = droplet_actions.post(cloud, request.params["droplet_id"], type_, body)
    return Response(201, {"action": action_view(action)})


@ROUTES.on("POST", "/v2/droplets/actions", "dropletActions_post_byTag")
def _post_by_tag(cloud: Cloud, request: Request) -> Response:
    body = request.json()
    type_ = fields.text(body, "type", None)
    made = droplet_actions.post_tagged(cloud, request.query.get("tag_name", ""), type_, body)
    return Response(201, {"actions": [action_view(action) for action in made]})


def action_view(action: Action) -> dict[str, Any]:
    """An action as the API shows it."""
    return {
        "id": action.id,
        "status": action.status,
        "type": action.type,
        "started_at": action.started_at,
        "completed_at": action.completed_at or None,
        "resource_id": action.resource_id,
        "resource_type": action.resource_type,
        "region": region_view(REGIONS[action.region]),
        "region_slug": action.region,
    }


def action_link(request: Request, action: Action, rel: str) -> dict[str, Any]:
    """A link to an action, absolute."""
    return {"id": action.id, "rel": rel, "href": f"{request.base_url}/v2/actions/{action.id}"}

"""Projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.api import fields
from emulator.api.http import Request, Response
from emulator.api.pages import page
from emulator.api.routing import Routes
from emulator.cloud import projects
from emulator.cloud.models import Project

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

ROUTES = Routes("Projects")
DEFAULT, ONE = "/v2/projects/default", "/v2/projects/{project_id}"
TEXTS = ("name", "description", "purpose", "environment")
OWNER_ID = 1234567


@ROUTES.on("GET", "/v2/projects", "projects_list")
def _list(cloud: Cloud, request: Request) -> Response:
    return page(request, "projects", [project_view(cloud, project) for project in cloud.store.all(Project)])


@ROUTES.on("POST", "/v2/projects", "projects_create")
def _create(cloud: Cloud, request: Request) -> Response:
    body = request.json()
    project = projects.create(
        cloud,
        name=fields.text(body, "name", None),
        purpose=fields.text(body, "purpose", None),
        description=fields.text(body, "description"),
        environment=fields.text(body, "environment"),
    )
    return Response(201, {"project": project_view(cloud, project)})


@ROUTES.on("GET", DEFAULT, "projects_get_default")
@ROUTES.on("GET", ONE, "projects_get")
def _get(cloud: Cloud, request: Request) -> Response:
    return Response(200, {"project": project_view(cloud, projects.get(cloud, _project_id(request)))})


@ROUTES.on("PUT", DEFAULT, "projects_update_default")
@ROUTES.on("PUT", ONE, "projects_update")
def _update(cloud: Cloud, request: Request) -> Response:
    body = request.json()
    changes: dict[str, Any] = {name: fields.text(body, name, None) for name in TEXTS}
    return _change(cloud, request, changes)


@ROUTES.on("PATCH", DEFAULT, "projects_patch_default")
@ROUTES.on("PATCH", ONE, "projects_patch")
def _patch(cloud: Cloud, request: Request) -> Response:
    body = request.json()
    return _change(
        cloud, request, {name: fields.text(body, name) for name in TEXTS if body.get(name) is not None}
    )


@ROUTES.on("DELETE", ONE, "projects_delete")
def _delete(cloud: Cloud, request: Request) -> Response:
    projects.delete(cloud, _project_id(request))
    return Response(204)


@ROUTES.on("GET", f"{DEFAULT}/resources", "projects_list_resources_default")
@ROUTES.on("GET", f"{ONE}/resources", "projects_list_resources")
def _resources(cloud: Cloud, request: Request) -> Response:
    found = projects.resources(cloud, _project_id(request))
    return page(request, "resources", [_resource_view(request, resource) for resource in found])


@ROUTES.on("POST", f"{DEFAULT}/resources", "projects_assign_resources_default")
@ROUTES.on("POST", f"{ONE}/resources", "projects_assign_resources")
def _assign(cloud: Cloud, request: Request) -> Response:
    assigned = projects.assign(cloud, _project_id(request), fields.texts(request.json(), "resources"))
    return Response(200, {"resources": [_resource_view(request, resource) for resource in assigned]})


def project_view(cloud: Cloud, project: Project) -> dict[str, Any]:
    """A project as the API shows it."""
    return {
        "id": project.id,
        "owner_uuid": cloud.account.team_uuid,
        "owner_id": OWNER_ID,
        "name": project.name,
        "description": project.description,
        "purpose": project.purpose,
        "environment": project.environment,
        "is_default": project.is_default,
        "created_at": project.created_at,
        "updated_at": project.updated_at,
    }


def _project_id(request: Request) -> str:
    return request.params.get("project_id", "default")


def _change(cloud: Cloud, request: Request, changes: dict[str, Any]) -> Response:
    is_default = fields.optional_flag(request.json(), "is_default")
    if is_default is not None:
        changes["is_default"] = is_default
    return Response(
        200, {"project": project_view(cloud, projects.update(cloud, _project_id(request), changes))}
    )


def _resource_view(request: Request, resource: projects.Resource) -> dict[str, Any]:
    _, kind, id_ = resource.urn.split(":")
    folder = {"droplet": "droplets", "dbaas": "databases"}.get(kind, f"{kind}s")
    link = f"{request.base_url}/v2/{folder}/{id_}"
    return {
        "urn": resource.urn,
        "assigned_at": resource.assigned_at,
        "links": {"self": link},
        "status": resource.status,
    }

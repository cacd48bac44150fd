"""Tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emulator.api import fields
from emulator.api.http import Request, Response
from emulator.api.pages import page
from emulator.api.routing import Routes
from emulator.cloud import tags
from emulator.cloud.errors import NotOfferedError
from emulator.cloud.models import Tag

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

ROUTES = Routes("Tags")


@ROUTES.on("GET", "/v2/tags", "tags_list")
def _list(cloud: Cloud, request: Request) -> Response:
    return page(request, "tags", [tag_view(cloud, request, tag) for tag in cloud.store.all(Tag)])


@ROUTES.on("POST", "/v2/tags", "tags_create")
def _create(cloud: Cloud, request: Request) -> Response:
    tag = tags.create(cloud, fields.text(request.json(), "name", None))
    return Response(201, {"tag": tag_view(cloud, request, tag)})


@ROUTES.on("GET", "/v2/tags/{tag_id}", "tags_get")
def _get(cloud: Cloud, request: Request) -> Response:
    return Response(200, {"tag": tag_view(cloud, request, tags.get(cloud, request.params["tag_id"]))})


@ROUTES.on("DELETE", "/v2/tags/{tag_id}", "tags_delete")
def _delete(cloud: Cloud, request: Request) -> Response:
    tags.delete(cloud, request.params["tag_id"])
    return Response(204)


@ROUTES.on("POST", "/v2/tags/{tag_id}/resources", "tags_assign_resources")
def _assign(cloud: Cloud, request: Request) -> Response:
    tags.assign(cloud, request.params["tag_id"], _resources(request))
    return Response(204)


@ROUTES.on("DELETE", "/v2/tags/{tag_id}/resources", "tags_unassign_resources")
def _unassign(cloud: Cloud, request: Request) -> Response:
    tags.unassign(cloud, request.params["tag_id"], _resources(request))
    return Response(204)


def tag_view(cloud: Cloud, request: Request, tag: Tag) -> dict[str, Any]:
    """A tag as the API shows it, with what carries it."""
    root = f"{request.base_url}/v2"
    droplets = [f"{root}/droplets/{droplet.id}" for droplet in tags.droplets(cloud, tag.name)]
    databases = [f"{root}/databases/{database.id}" for database in tags.databases(cloud, tag.name)]
    none: list[str] = []
    kinds = {"images": none, "volumes": none, "volume_snapshots": none}
    resources: dict[str, Any] = _count([*droplets, *databases])
    for kind, uris in {"droplets": droplets, **kinds, "databases": databases}.items():
        resources[kind] = _count(uris)
    return {"name": tag.name, "resources": resources}


def _count(uris: Sequence[str]) -> dict[str, Any]:
    return {"count": len(uris), "last_tagged_uri": uris[-1]} if uris else {"count": 0}


def _resources(request: Request) -> list[tuple[str, str]]:
    named = [
        (fields.text(item, "resource_type", None), fields.word(item, "resource_id"))
        for item in fields.objects(request.json(), "resources")
    ]
    for kind, _ in named:
        if kind in ("image", "volume", "volume_snapshot"):
            raise NotOfferedError(f"tagging a {kind}")
    return named

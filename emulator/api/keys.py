"""SSH keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.api import fields
from emulator.api.http import Request, Response
from emulator.api.pages import page
from emulator.api.routing import Routes
from emulator.cloud import keys
from emulator.cloud.models import SshKey

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

ROUTES = Routes("SSH keys")


@ROUTES.on("GET", "/v2/account/keys", "sshKeys_list")
def _list(cloud: Cloud, request: Request) -> Response:
    return page(request, "ssh_keys", [key_view(key) for key in cloud.store.all(SshKey)])


@ROUTES.on("POST", "/v2/account/keys", "sshKeys_create")
def _create(cloud: Cloud, request: Request) -> Response:
    body = request.json()
    public_key = fields.text(body, "public_key", None)
    key = keys.create(cloud, name=fields.text(body, "name", None), public_key=public_key)
    return Response(201, {"ssh_key": key_view(key)})


@ROUTES.on("GET", "/v2/account/keys/{ssh_key_identifier}", "sshKeys_get")
def _get(cloud: Cloud, request: Request) -> Response:
    return Response(200, {"ssh_key": key_view(keys.get(cloud, request.params["ssh_key_identifier"]))})


@ROUTES.on("PUT", "/v2/account/keys/{ssh_key_identifier}", "sshKeys_update")
def _update(cloud: Cloud, request: Request) -> Response:
    name = fields.text(request.json(), "name", None)
    return Response(
        200, {"ssh_key": key_view(keys.rename(cloud, request.params["ssh_key_identifier"], name))}
    )


@ROUTES.on("DELETE", "/v2/account/keys/{ssh_key_identifier}", "sshKeys_delete")
def _delete(cloud: Cloud, request: Request) -> Response:
    keys.delete(cloud, request.params["ssh_key_identifier"])
    return Response(204)


def key_view(key: SshKey) -> dict[str, Any]:
    """An SSH key as the API shows it."""
    return {"id": key.id, "fingerprint": key.fingerprint, "public_key": key.public_key, "name": key.name}

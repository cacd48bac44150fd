"""What the emulator tells of itself, under a path of its own that no cloud has."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from emulator.api.http import Request, Response
from emulator.api.routing import Routes
from emulator.cloud import databases, droplets

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

PREFIX = "/_wavetank/"
HEALTH = "/_wavetank/health"
ROUTES = Routes("The emulator's own")


@ROUTES.on("GET", HEALTH, "")
def _health(_cloud: Cloud, _request: Request) -> Response:
    return Response(200, {"status": "ok"})


@ROUTES.on("GET", "/_wavetank/info", "")
def _info(cloud: Cloud, _request: Request) -> Response:
    return Response(200, {**asdict(cloud.plane.info()), "version": _version()})


@ROUTES.on("GET", "/_wavetank/counters", "")
def _counters(cloud: Cloud, _request: Request) -> Response:
    return Response(200, {"counters": [dict(row) for row in cloud.plane.counters()]})


@ROUTES.on("GET", "/_wavetank/console/droplet/{droplet_id}", "")
def _droplet_console(cloud: Cloud, request: Request) -> Response:
    droplet = droplets.get(cloud, request.params["droplet_id"])
    return Response(200, _console(cloud, droplet.ref, droplet.error))


@ROUTES.on("GET", "/_wavetank/console/database/{database_id}", "")
def _database_console(cloud: Cloud, request: Request) -> Response:
    database = databases.get(cloud, request.params["database_id"])
    return Response(200, _console(cloud, database.ref, database.error))


def _console(cloud: Cloud, ref: str, error: str) -> dict[str, Any]:
    return {"ref": ref, "error": error, "console": cloud.plane.console(ref)}


def _version() -> str:
    try:
        return version("wavetank")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"

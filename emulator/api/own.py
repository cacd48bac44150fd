"""The emulator's own API, under a path that no cloud has."""

from __future__ import annotations

from dataclasses import asdict
from dataclasses import fields as dataclass_fields
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from emulator.api.fields import decimal, flag, number, objects, text, word
from emulator.api.http import Request, Response
from emulator.api.routing import Routes
from emulator.cloud import databases, droplets, links
from emulator.cloud.errors import UnprocessableError
from emulator.cloud.scans import Scan, ScanRequest
from emulator.planes.base import FAULTS, PERFECT, Integrity, Quality

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

QUALITIES = tuple(field.name for field in dataclass_fields(Quality))
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
    counted = {"counters": cloud.plane.counters(), "flows": cloud.plane.flows()}
    return Response(200, {name: [dict(row) for row in rows] for name, rows in counted.items()})


@ROUTES.on("GET", "/_wavetank/events", "")
def _events(cloud: Cloud, _request: Request) -> Response:
    return Response(200, {"events": [asdict(each) for each in cloud.watch.notices()]})


@ROUTES.on("GET", "/_wavetank/usage", "")
def _usage(cloud: Cloud, _request: Request) -> Response:
    return Response(200, {"databases": [asdict(each) for each in cloud.plane.usage()]})


@ROUTES.on("GET", "/_wavetank/ruleset", "")
def _ruleset(cloud: Cloud, _request: Request) -> Response:
    return _integrity(cloud.plane.integrity())


@ROUTES.on("POST", "/_wavetank/ruleset/restore", "")
def _restore_ruleset(cloud: Cloud, _request: Request) -> Response:
    return _integrity(cloud.plane.restore())


@ROUTES.on("POST", "/_wavetank/ruleset/faults", "")
def _tamper(cloud: Cloud, request: Request) -> Response:
    fault = word(request.json(), "fault")
    if fault not in FAULTS:
        raise UnprocessableError(f"unknown fault {fault!r}: one of {', '.join(FAULTS)}")
    cloud.plane.tamper(fault)
    return Response(204)


def _integrity(found: Integrity) -> Response:
    document = {"differences": found.differences, "repaired": found.repaired}
    rows = {name: [dict(row) for row in rows] for name, rows in document.items()}
    return Response(200, {"intact": not any(document.values()), **rows})


@ROUTES.on("POST", "/_wavetank/scans", "")
def _scan(cloud: Cloud, request: Request) -> Response:
    body = request.json()
    pairs = [
        (word(pair, "source"), word(pair, "target"), text(pair, "side", "private"))
        for pair in objects(body, "pairs")
    ]
    icmp, passes = flag(body, "icmp", default=False), number(body, "passes", 2)
    scan = cloud.scans.start(ScanRequest(pairs, text(body, "tcp"), text(body, "udp"), icmp, passes))
    return Response(202, _scan_document(scan))


@ROUTES.on("GET", "/_wavetank/scans/{scan_id}", "")
def _get_scan(cloud: Cloud, request: Request) -> Response:
    return Response(200, _scan_document(cloud.scans.get(request.params["scan_id"])))


@ROUTES.on("DELETE", "/_wavetank/scans/{scan_id}", "")
def _cancel_scan(cloud: Cloud, request: Request) -> Response:
    cloud.scans.cancel(request.params["scan_id"])
    return Response(204)


def _scan_document(scan: Scan) -> dict[str, Any]:
    names = ("id", "status", "error", "sent", "total", "pairs")
    document = {name: getattr(scan, name) for name in names}
    return {"scan": {**document, "seconds": round(scan.seconds, 3)}}


@ROUTES.on("DELETE", "/_wavetank/connections/droplet/{droplet_id}", "")
def _flush_conntrack(cloud: Cloud, request: Request) -> Response:
    cloud.plane.flush_conntrack(droplets.get(cloud, request.params["droplet_id"]).id)
    return Response(204)


@ROUTES.on("GET", "/_wavetank/links", "")
def _links(cloud: Cloud, _request: Request) -> Response:
    document = [{"droplet_id": id_, **asdict(quality)} for id_, quality in links.imperfect(cloud).items()]
    return Response(200, {"links": document})


@ROUTES.on("GET", "/_wavetank/links/droplet/{droplet_id}", "")
def _link(cloud: Cloud, request: Request) -> Response:
    return Response(200, {"link": asdict(links.quality(cloud, request.params["droplet_id"]))})


@ROUTES.on("PUT", "/_wavetank/links/droplet/{droplet_id}", "")
def _shape_link(cloud: Cloud, request: Request) -> Response:
    body = request.json()
    if unknown := sorted(set(body) - set(QUALITIES)):
        raise UnprocessableError(f"unknown field {unknown[0]!r}: one of {', '.join(QUALITIES)}")
    links.shape(cloud, request.params["droplet_id"], Quality(*(decimal(body, name) for name in QUALITIES)))
    return _link(cloud, request)


@ROUTES.on("DELETE", "/_wavetank/links/droplet/{droplet_id}", "")
def _clear_link(cloud: Cloud, request: Request) -> Response:
    links.shape(cloud, request.params["droplet_id"], PERFECT)
    return Response(204)


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

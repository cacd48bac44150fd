"""Managed databases."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emulator.api import fields
from emulator.api.http import Request, Response
from emulator.api.routing import Routes
from emulator.cloud import databases, projects
from emulator.cloud.catalogue import DATABASE_SIZES, REGIONS
from emulator.cloud.errors import NotFoundError, NotOfferedError, UnprocessableError
from emulator.cloud.models import Assignment, Database, StorageAutoscale, TrustedSource

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

ROUTES = Routes("Managed databases")
ONE = "/v2/databases/{database_cluster_uuid}"


@ROUTES.on("GET", "/v2/databases/options", "databases_list_options")
def _options(_cloud: Cloud, _request: Request) -> Response:
    regions = [region.slug for region in REGIONS.values() if region.available]
    options = {
        name: {
            "regions": regions,
            "versions": list(engine.versions),
            "layouts": [{"num_nodes": 1, "sizes": list(DATABASE_SIZES)}],
            "default_version": engine.versions[0],
        }
        for name, engine in databases.ENGINES.items()
    }
    availability = {
        name: [{"version": v, "end_of_life": None, "end_of_availability": None} for v in engine.versions]
        for name, engine in databases.ENGINES.items()
    }
    return Response(200, {"options": options, "version_availability": availability})


@ROUTES.on("GET", "/v2/databases", "databases_list_clusters")
def _list(cloud: Cloud, request: Request) -> Response:
    found = databases.listed(cloud, tag=request.query.get("tag_name", ""))
    return Response(200, {"databases": [database_view(cloud, database) for database in found]})


@ROUTES.on("POST", "/v2/databases", "databases_create_cluster")
def _create(cloud: Cloud, request: Request) -> Response:
    body = request.json()
    if fields.nested(body, "backup_restore"):
        raise NotOfferedError("a database cluster made from a backup")
    database = databases.create(
        cloud,
        databases.CreateRequest(
            name=fields.text(body, "name", None),
            engine=fields.text(body, "engine", None),
            size=fields.text(body, "size", None),
            region=fields.text(body, "region", None),
            num_nodes=fields.number(body, "num_nodes"),
            version=fields.text(body, "version"),
            vpc_id=fields.text(body, "private_network_uuid"),
            tags=fields.texts(body, "tags"),
            rules=_rules(body),
            project_id=fields.text(body, "project_id"),
            storage_mib=fields.number(body, "storage_size_mib") if body.get("storage_size_mib") else 0,
            autoscale=_autoscale(body),
            service_cnames=fields.texts(fields.nested(body, "do_settings"), "service_cnames"),
        ),
    )
    return Response(201, {"database": database_view(cloud, database)})


@ROUTES.on("GET", ONE, "databases_get_cluster")
def _get(cloud: Cloud, request: Request) -> Response:
    return Response(200, {"database": database_view(cloud, _database_of(cloud, request))})


@ROUTES.on("DELETE", ONE, "databases_destroy_cluster")
def _delete(cloud: Cloud, request: Request) -> Response:
    databases.delete(cloud, request.params["database_cluster_uuid"])
    return Response(204)


@ROUTES.on("GET", f"{ONE}/ca", "databases_get_ca")
def _ca(cloud: Cloud, request: Request) -> Response:
    _database_of(cloud, request)
    certificate = base64.b64encode(cloud.account.ca_certificate.encode()).decode()
    return Response(200, {"ca": {"certificate": certificate}})


@ROUTES.on("GET", f"{ONE}/firewall", "databases_list_firewall_rules")
def _trusted(cloud: Cloud, request: Request) -> Response:
    return Response(200, {"rules": _rule_views(_database_of(cloud, request))})


@ROUTES.on("PUT", f"{ONE}/firewall", "databases_update_firewall_rules")
def _trust(cloud: Cloud, request: Request) -> Response:
    databases.trust(cloud, request.params["database_cluster_uuid"], _rules(request.json()))
    return Response(204)


@ROUTES.on("GET", f"{ONE}/autoscale", "databases_get_autoscale")
def _get_autoscale(cloud: Cloud, request: Request) -> Response:
    storage = _storage_view(_database_of(cloud, request))
    # The document has it under `autoscale`; godo, and Terraform with it, reads `storage` itself.
    return Response(200, {"autoscale": {"storage": storage}, "storage": storage})


@ROUTES.on("PUT", f"{ONE}/autoscale", "databases_update_autoscale")
def _set_autoscale(cloud: Cloud, request: Request) -> Response:
    storage = fields.nested(request.json(), "storage")
    if not storage:
        raise UnprocessableError("storage is required")
    databases.set_autoscale(cloud, request.params["database_cluster_uuid"], _storage(storage))
    return Response(204)


@ROUTES.on("GET", f"{ONE}/users", "databases_list_users")
def _users(cloud: Cloud, request: Request) -> Response:
    return Response(200, {"users": _user_views(_database_of(cloud, request))})


@ROUTES.on("GET", f"{ONE}/users/{{username}}", "databases_get_user")
def _user(cloud: Cloud, request: Request) -> Response:
    return Response(
        200, {"user": _named(_user_views(_database_of(cloud, request)), request.params["username"])}
    )


@ROUTES.on("GET", f"{ONE}/dbs", "databases_list")
def _dbs(cloud: Cloud, request: Request) -> Response:
    return Response(200, {"dbs": _db_views(_database_of(cloud, request))})


@ROUTES.on("GET", f"{ONE}/dbs/{{database_name}}", "databases_get")
def _db(cloud: Cloud, request: Request) -> Response:
    return Response(
        200, {"db": _named(_db_views(_database_of(cloud, request)), request.params["database_name"])}
    )


def database_view(cloud: Cloud, database: Database) -> dict[str, Any]:
    """A cluster as the API shows it, password included."""
    assignment = cloud.store.get(Assignment, f"do:dbaas:{database.id}")
    return {
        "id": database.id,
        "name": database.name,
        "engine": database.engine,
        "version": database.version,
        "semantic_version": database.version,
        "num_nodes": database.num_nodes,
        "size": database.size,
        "region": database.region,
        "status": database.status,
        "created_at": database.created_at,
        "private_network_uuid": database.vpc_id,
        "tags": list(database.tags),
        "db_names": [name["name"] for name in _db_views(database)],
        "connection": _connection(database, private=False),
        "private_connection": _connection(database, private=True),
        "users": _user_views(database),
        "maintenance_window": {"day": "sunday", "hour": "02:00:00", "pending": False, "description": []},
        "project_id": assignment.project_id if assignment else projects.get(cloud, "default").id,
        "rules": _rule_views(database),
        "storage_size_mib": database.storage_mib,
        "storage_autoscale": _storage_view(database),
        **({"autoscale": {"storage": _storage_view(database)}} if database.autoscale else {}),
        "metrics_endpoints": [{"host": database.public_host, "port": databases.METRICS_PORT}],
        "do_settings": {"service_cnames": list(database.service_cnames)},
    }


def _storage_view(database: Database) -> dict[str, Any]:
    found = database.autoscale or StorageAutoscale()
    numbers = {"threshold_percent": found.threshold_percent, "increment_gib": found.increment_gib}
    return {"enabled": found.enabled, **{name: number for name, number in numbers.items() if number}}


def _autoscale(body: fields.Body) -> StorageAutoscale | None:
    """As the document names it, or as godo does; None where nothing is asked for."""
    asked = fields.nested(fields.nested(body, "autoscale"), "storage") or fields.nested(
        body, "storage_autoscale"
    )
    return _storage(asked) if asked else None


def _storage(body: fields.Body) -> StorageAutoscale:
    enabled = fields.optional_flag(body, "enabled")
    if enabled is None:
        raise UnprocessableError("enabled is required")
    names = ("threshold_percent", "increment_gib")
    numbers = {name: fields.number(body, name) for name in names if body.get(name) is not None}
    return StorageAutoscale(enabled=enabled, **numbers)


def _connection(database: Database, *, private: bool) -> dict[str, Any]:
    protocols = {"pg": "postgresql", "valkey": "rediss", "mongodb": "mongodb"}
    return {
        "protocol": protocols[database.engine],
        "uri": databases.uri(database, private=private),
        "database": database.database,
        "host": database.private_host if private else database.public_host,
        "port": database.port,
        "user": database.user,
        "password": database.password,
        "ssl": True,
    }


def _user_views(database: Database) -> list[dict[str, Any]]:
    return [{"name": database.user, "role": "primary", "password": database.password}]


def _db_views(database: Database) -> list[dict[str, Any]]:
    return [{"name": database.database}] if database.database else []


def _rule_views(database: Database) -> list[dict[str, Any]]:
    return [_rule_view(rule, database) for rule in database.rules]


def _rule_view(rule: TrustedSource, database: Database) -> dict[str, Any]:
    return {
        "uuid": rule.uuid,
        "cluster_uuid": database.id,
        "type": rule.type,
        "value": rule.value,
        "created_at": rule.created_at,
        **({"description": rule.description} if rule.description else {}),
    }


def _rules(body: fields.Body) -> list[databases.SourceRequest]:
    return [
        databases.SourceRequest(
            fields.text(rule, "type", None), fields.word(rule, "value"), fields.text(rule, "description")
        )
        for rule in fields.objects(body, "rules")
    ]


def _database_of(cloud: Cloud, request: Request) -> Database:
    return databases.get(cloud, request.params["database_cluster_uuid"])


def _named(views: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    found = next((view for view in views if view["name"] == name), None)
    if found is None:
        raise NotFoundError
    return found

"""Cloud Firewalls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from emulator.api import fields
from emulator.api.http import Request, Response
from emulator.api.pages import page
from emulator.api.routing import Routes
from emulator.cloud import firewalls
from emulator.cloud.models import Firewall, Rule
from emulator.cloud.network import FirewallStatus, PendingChange

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

ROUTES = Routes("Cloud Firewalls")
ONE = "/v2/firewalls/{firewall_id}"


@ROUTES.on("GET", "/v2/firewalls", "firewalls_list")
def _list(cloud: Cloud, request: Request) -> Response:
    return page(request, "firewalls", firewall_views(cloud, cloud.store.all(Firewall)))


@ROUTES.on("POST", "/v2/firewalls", "firewalls_create")
def _create(cloud: Cloud, request: Request) -> Response:
    firewall = firewalls.create(cloud, _firewall_request(request.json()))
    return Response(202, {"firewall": firewall_views(cloud, [firewall])[0]})


@ROUTES.on("GET", ONE, "firewalls_get")
def _get(cloud: Cloud, request: Request) -> Response:
    firewall = firewalls.get(cloud, request.params["firewall_id"])
    return Response(200, {"firewall": firewall_views(cloud, [firewall])[0]})


@ROUTES.on("PUT", ONE, "firewalls_update")
def _replace(cloud: Cloud, request: Request) -> Response:
    firewall = firewalls.replace(cloud, request.params["firewall_id"], _firewall_request(request.json()))
    return Response(200, {"firewall": firewall_views(cloud, [firewall])[0]})


@ROUTES.on("DELETE", ONE, "firewalls_delete")
def _delete(cloud: Cloud, request: Request) -> Response:
    firewalls.delete(cloud, request.params["firewall_id"])
    return Response(204)


@ROUTES.on("POST", f"{ONE}/droplets", "firewalls_assign_droplets")
@ROUTES.on("DELETE", f"{ONE}/droplets", "firewalls_delete_droplets")
def _droplets(cloud: Cloud, request: Request) -> Response:
    ids = fields.numbers(request.json(), "droplet_ids")
    firewalls.change_droplets(cloud, request.params["firewall_id"], ids, remove=request.method == "DELETE")
    return Response(204)


@ROUTES.on("POST", f"{ONE}/tags", "firewalls_add_tags")
@ROUTES.on("DELETE", f"{ONE}/tags", "firewalls_delete_tags")
def _tags(cloud: Cloud, request: Request) -> Response:
    names = fields.texts(request.json(), "tags")
    firewalls.change_tags(cloud, request.params["firewall_id"], names, remove=request.method == "DELETE")
    return Response(204)


@ROUTES.on("POST", f"{ONE}/rules", "firewalls_add_rules")
@ROUTES.on("DELETE", f"{ONE}/rules", "firewalls_delete_rules")
def _rules(cloud: Cloud, request: Request) -> Response:
    wanted = _firewall_request({"name": "unused", **request.json()})
    remove = request.method == "DELETE"
    firewalls.change_rules(
        cloud, request.params["firewall_id"], wanted.inbound, wanted.outbound, remove=remove
    )
    return Response(204)


def firewall_views(cloud: Cloud, shown: Sequence[Firewall]) -> list[dict[str, Any]]:
    """Firewalls as the API shows them, with what is still to be applied."""
    if not shown:
        return []
    snapshot = cloud.network.snapshot()
    return [_firewall_view(each, *cloud.network.status(each, snapshot)) for each in shown]


def _firewall_view(
    firewall: Firewall, status: FirewallStatus, pending: Iterable[PendingChange]
) -> dict[str, Any]:
    return {
        "id": firewall.id,
        "name": firewall.name,
        "status": status,
        "inbound_rules": [_rule_view(rule, "sources") for rule in firewall.inbound],
        "outbound_rules": [_rule_view(rule, "destinations") for rule in firewall.outbound],
        "created_at": firewall.created_at,
        "droplet_ids": list(firewall.droplet_ids),
        "tags": list(firewall.tags),
        "pending_changes": [
            {"droplet_id": change.droplet_id, "removing": change.removing, "status": change.status}
            for change in pending
        ],
    }


def _rule_view(rule: Rule, side: str) -> dict[str, Any]:
    peers = {
        "addresses": list(rule.peers.addresses),
        "droplet_ids": list(rule.peers.droplet_ids),
        "tags": list(rule.peers.tags),
    }
    named = {name: values for name, values in peers.items() if values}
    return {"protocol": rule.protocol, "ports": rule.ports, side: named}


def _firewall_request(body: fields.Body) -> firewalls.FirewallRequest:
    return firewalls.FirewallRequest(
        name=fields.text(body, "name", None),
        inbound=[_rule_request(rule, "sources") for rule in fields.objects(body, "inbound_rules")],
        outbound=[_rule_request(rule, "destinations") for rule in fields.objects(body, "outbound_rules")],
        droplet_ids=fields.numbers(body, "droplet_ids"),
        tags=fields.texts(body, "tags"),
    )


def _rule_request(rule: fields.Body, side: str) -> firewalls.RuleRequest:
    peers = fields.nested(rule, side)
    ports = rule.get("ports")
    return firewalls.RuleRequest(
        protocol=fields.text(rule, "protocol", None),
        ports="" if ports is None else fields.word(rule, "ports"),
        addresses=fields.texts(peers, "addresses"),
        droplet_ids=fields.numbers(peers, "droplet_ids"),
        tags=fields.texts(peers, "tags"),
        load_balancer_uids=fields.texts(peers, "load_balancer_uids"),
        kubernetes_ids=fields.texts(peers, "kubernetes_ids"),
    )

"""A tour through every operation the emulator implements, for any driver that can make a call.

``call(operation_id, body=None, **parameters)`` makes one request, path and query parameters by their names
in DigitalOcean's OpenAPI document, and returns the answer's body. The tour leaves the account as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Call = Callable[..., Any]

PUBLIC_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6gkR3y2yhP7YQWGCVZzx6Q0MfSUBbm8Uq2a3nXe7b2 operator@example\n"
)
ANYWHERE = {"addresses": ["0.0.0.0/0", "::/0"]}
DROPLET = {"region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}


def tour(call: Call) -> None:
    """Visit everything."""
    tour_catalogue(call)
    key, vpc = tour_keys(call), tour_vpcs(call)
    droplet_id = tour_droplets(call, key, vpc)
    tour_tags(call, droplet_id)
    tour_firewalls(call, droplet_id)
    database_id = tour_databases(call, vpc, droplet_id)
    tour_projects(call, droplet_id)
    tour_droplet_actions(call, droplet_id)
    call("databases_destroy_cluster", database_cluster_uuid=database_id)
    call("droplets_destroy", droplet_id=droplet_id)
    call("droplets_destroy_byTag", tag_name="tour")
    call("tags_delete", tag_id="tour")
    call("sshKeys_delete", ssh_key_identifier=key)


def tour_catalogue(call: Call) -> None:
    """Account, regions, sizes, images."""
    call("account_get")
    call("regions_list")
    call("sizes_list", per_page=5, page=2)
    call("images_list", per_page=2)
    call("images_get", image_id="ubuntu-24-04-x64")


def tour_keys(call: Call) -> str:
    """SSH keys; returns the fingerprint of one that is left."""
    key = call("sshKeys_create", {"name": "tour", "public_key": PUBLIC_KEY})["ssh_key"]
    call("sshKeys_list")
    call("sshKeys_get", ssh_key_identifier=key["id"])
    call("sshKeys_update", {"name": "touring"}, ssh_key_identifier=key["fingerprint"])
    return str(key["fingerprint"])


def tour_vpcs(call: Call) -> str:
    """VPCs; returns one that is left."""
    vpc = call("vpcs_create", {"name": "tour", "region": "fra1", "description": "a"})["vpc"]["id"]
    call("vpcs_list", per_page=3, page=2)
    call("vpcs_get", vpc_id=vpc)
    call("vpcs_update", {"name": "tour-2", "description": "b"}, vpc_id=vpc)
    call("vpcs_patch", {"name": "tour-3"}, vpc_id=vpc)
    spare = call("vpcs_create", {"name": "spare", "region": "nyc3", "ip_range": "192.168.7.0/24"})["vpc"][
        "id"
    ]
    call("vpcs_delete", vpc_id=spare)
    call("vpcs_list_members", vpc_id=vpc)
    return str(vpc)


def tour_droplets(call: Call, key: str, vpc: str) -> int:
    """Droplets, one and several; returns one that is left, in ``vpc`` with the tag ``tour-one``."""
    several = {**DROPLET, "names": ["tour-a", "tour-b"], "tags": ["tour"], "public_networking": False}
    call("droplets_create", several)
    one = {
        **DROPLET,
        "name": "tour-one",
        "ssh_keys": [key],
        "vpc_uuid": vpc,
        "tags": ["tour-one"],
        "user_data": "#!/bin/sh\n",
    }
    made = call("droplets_create", one)
    droplet_id = int(made["droplet"]["id"])
    call("actions_get", action_id=made["links"]["actions"][0]["id"])
    call("droplets_get", droplet_id=droplet_id)
    call("droplets_list", tag_name="tour")
    call("droplets_list", name="tour-one")
    call("vpcs_list_members", vpc_id=vpc)
    return droplet_id


def tour_tags(call: Call, droplet_id: int) -> None:
    """Tags and what carries them."""
    call("tags_create", {"name": "tour:spare"})
    resources = {"resources": [{"resource_id": str(droplet_id), "resource_type": "droplet"}]}
    call("tags_assign_resources", resources, tag_id="tour:spare")
    call("tags_get", tag_id="tour:spare")
    call("tags_list")
    call("tags_unassign_resources", resources, tag_id="tour:spare")
    call("tags_delete", tag_id="tour:spare")


def tour_firewalls(call: Call, droplet_id: int) -> None:
    """Cloud Firewalls, whole and in parts."""
    ssh = {"protocol": "tcp", "ports": "22", "sources": ANYWHERE}
    ping = {"protocol": "icmp", "sources": ANYWHERE}
    out = {"protocol": "tcp", "ports": "all", "destinations": {"tags": ["tour"], "addresses": ["10.0.0.0/8"]}}
    whole = {"name": "tour", "inbound_rules": [ssh, ping], "outbound_rules": [out], "tags": ["tour-one"]}
    firewall_id = call("firewalls_create", whole)["firewall"]["id"]
    one = {"firewall_id": firewall_id}
    call("firewalls_list")
    call("firewalls_get", **one)
    call("droplets_list_firewalls", droplet_id=droplet_id)
    call("firewalls_assign_droplets", {"droplet_ids": [droplet_id]}, **one)
    call("firewalls_delete_droplets", {"droplet_ids": [droplet_id]}, **one)
    call("firewalls_add_tags", {"tags": ["tour"]}, **one)
    call("firewalls_delete_tags", {"tags": ["tour"]}, **one)
    more = {
        "inbound_rules": [{"protocol": "udp", "ports": "8000-9000", "sources": {"droplet_ids": [droplet_id]}}]
    }
    call("firewalls_add_rules", more, **one)
    call("firewalls_delete_rules", more, **one)
    call("firewalls_update", {**whole, "outbound_rules": None}, **one)
    call("firewalls_delete", **one)


def tour_databases(call: Call, vpc: str, droplet_id: int) -> str:
    """Managed databases of every engine; returns one that is left."""
    call("databases_list_options")
    spare = {"num_nodes": 1, "size": "db-s-1vcpu-1gb", "region": "fra1", "rules": None, "project_id": ""}
    for engine in ("valkey", "mongodb"):
        made = call("databases_create_cluster", {**spare, "name": f"tour-{engine}", "engine": engine})
        one = {"database_cluster_uuid": made["database"]["id"]}
        call("databases_list", **one)
        call("databases_get_cluster", **one)
        call("databases_destroy_cluster", **one)
    body = {
        **spare,
        "name": "tour-pg",
        "engine": "pg",
        "version": "15",
        "private_network_uuid": vpc,
        "tags": ["tour"],
        "autoscale": {"storage": {"enabled": True, "threshold_percent": 80, "increment_gib": 10}},
        "do_settings": {"service_cnames": ["db.example.com"]},
    }
    database = call("databases_create_cluster", body)["database"]
    one = {"database_cluster_uuid": database["id"]}
    call("databases_get_autoscale", **one)
    call("databases_update_autoscale", {"storage": {"enabled": False}}, **one)
    call("databases_list_clusters")
    call("databases_get_cluster", **one)
    call("databases_get_ca", **one)
    rules = [
        {"type": "droplet", "value": str(droplet_id), "uuid": "", "cluster_uuid": ""},
        {"type": "ip_addr", "value": "203.0.113.0/24", "description": "the internet"},
        {"type": "tag", "value": "tour"},
    ]
    call("databases_update_firewall_rules", {"rules": rules}, **one)
    call("databases_list_firewall_rules", **one)
    call("databases_list_users", **one)
    call("databases_get_user", username="doadmin", **one)
    call("databases_list", **one)
    call("databases_get", database_name="defaultdb", **one)
    return str(database["id"])


def tour_projects(call: Call, droplet_id: int) -> None:
    """Projects and what is in them, the default one too."""
    body = {"name": "tour", "purpose": "Trying things out", "environment": "Staging", "description": "a"}
    project = call("projects_create", body)["project"]["id"]
    call("projects_list")
    call("projects_get", project_id=project)
    call("projects_update", {**body, "is_default": False}, project_id=project)
    call("projects_patch", {"environment": "Production"}, project_id=project)
    call("projects_assign_resources", {"resources": [f"do:droplet:{droplet_id}"]}, project_id=project)
    call("projects_list_resources", project_id=project)
    default = call("projects_get_default")["project"]
    kept = {name: default[name] for name in ("name", "description", "purpose", "environment", "is_default")}
    call("projects_update_default", kept)
    call("projects_patch_default", {"description": ""})
    call("projects_assign_resources_default", {"resources": [f"do:droplet:{droplet_id}"]})
    call("projects_list_resources_default")
    call("projects_delete", project_id=project)


def tour_droplet_actions(call: Call, droplet_id: int) -> None:
    """Every action a droplet can take. The driver must let each end before the next."""
    one = {"droplet_id": droplet_id}
    for action in (
        {"type": "power_off"},
        {"type": "resize", "size": "s-1vcpu-2gb", "disk": True},
        {"type": "power_on"},
        {"type": "reboot"},
        {"type": "shutdown"},
        {"type": "power_cycle"},
        {"type": "rename", "name": "tour-renamed"},
        {"type": "rebuild", "image": "debian-12-x64"},
    ):
        made = call("dropletActions_post", action, **one)["action"]
        call("dropletActions_get", action_id=made["id"], **one)
        call("droplets_get", **one)
    call("dropletActions_list", **one)
    call("dropletActions_post_byTag", {"type": "power_off"}, tag_name="tour")
    call("actions_list", per_page=200)

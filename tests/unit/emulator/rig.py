"""A cloud to try things on, and the few wishes most tests make of it."""

from __future__ import annotations

import json
from typing import Any

from emulator.api.app import Api
from emulator.api.http import Response, make_request
from emulator.cloud import databases, droplets
from emulator.cloud.core import Cloud
from emulator.cloud.models import Database, Droplet

TOKEN = {"Authorization": "Bearer any", "Content-Type": "application/json"}
ANYWHERE = {"addresses": ["0.0.0.0/0"]}


def make_droplet(cloud: Cloud, name: str = "web", **changes: Any) -> Droplet:
    """Make one droplet; returns its record as it was made."""
    fields = {"region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64", **changes}
    return droplets.create(cloud, droplets.CreateRequest(names=[name], **fields))[0][0]


def make_database(cloud: Cloud, name: str = "main", **changes: Any) -> Database:
    """Make one cluster; returns its record as it was made."""
    fields = {"engine": "pg", "region": "fra1", "size": "db-s-1vcpu-1gb", "num_nodes": 1, **changes}
    return databases.create(cloud, databases.CreateRequest(name=name, **fields))


def call(cloud: Cloud, method: str, path: str, body: Any = None, **headers: str) -> Response:
    """One request to the API of a cloud."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"https://api.digitalocean.com{path}"
    return Api(cloud, any_token=True).handle(make_request(method, url, {**TOKEN, **headers}, data))


def rule(ports: str = "22", protocol: str = "tcp", **sources: Any) -> dict[str, Any]:
    """An inbound rule as a client sends it."""
    return {"protocol": protocol, "ports": ports, "sources": sources or ANYWHERE}

"""A stack before there is a deployment: values that only a deployment has stay ``${NAME}``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness.stack import taint
from harness.stack.model import Note, Source, Stack
from harness.stack.steps.program import FILE
from harness.topology.deployment import Connection, DatabaseNode, Deployment, Node
from harness.topology.model import DATABASE_PORTS, Database, Droplet, Topology


def placeholder_deployment(topology: Topology) -> Deployment:
    """A deployment of which only names are known: ``${RUNNER_PRIVATE_IP}``, ``${MONGO_PRIVATE_HOST}``."""
    return Deployment(
        run="",
        vpc_id="",
        vpc_range=topology.ip_range or taint.deferred("VPC_RANGE"),
        nodes={name: _node(each) for name, each in topology.droplets.items()},
        databases={name: _database(each) for name, each in topology.databases.items()},
        secrets={name: _placeholder(name, "secret") for name in topology.secrets},
    )


def _node(droplet: Droplet) -> Node:
    public = _placeholder(droplet.name, "public_ip") if droplet.public_networking else None
    return Node(droplet.name, 0, "", public, _placeholder(droplet.name, "private_ip"))


def _database(database: Database) -> DatabaseNode:
    return DatabaseNode(
        name=database.name,
        id="",
        engine=database.engine,
        status="",
        public=_connection(database, "public"),
        private=_connection(database, "private"),
        ca_pem=_placeholder(database.name, "ca_pem"),
    )


def _connection(database: Database, end: str) -> Connection:
    host, user, password, name = (
        _placeholder(database.name, attribute)
        for attribute in (f"{end}_host", "user", "password", "database")
    )
    port = DATABASE_PORTS[database.engine]
    uri = f"{database.engine}://{user}:{password}@{host}:{port}/{name}"
    return Connection(host, port, user, password, name, uri)


def _placeholder(owner: str, attribute: str) -> str:
    return taint.deferred(f"{owner}_{attribute}".upper().replace("-", "_"))


def with_programs(source: Source) -> Source:
    """``source`` with ``${NAME_PROGRAM}`` for what an image runs that is not on this machine."""
    missing = [name for name in source.images if name not in source.programs]
    programs = {name: (_placeholder(f"{source.service.name}_{name}", "program"),) for name in missing}
    entrypoints = {name: (_placeholder(f"{source.service.name}_{name}", "entrypoint"),) for name in missing}
    return replace(
        source, programs={**source.programs, **programs}, entrypoints={**source.entrypoints, **entrypoints}
    )


def remaining_steps(stack: Stack) -> Iterator[Note]:
    """What has to be created and filled in before such a stack can be deployed by hand."""
    names = tuple(dict.fromkeys(name for text in _texts(stack.document) for name in taint.variables(text)))
    if names:
        what = f"only a deployment knows {', '.join(names)}"
        yield Note("${...}", what, "`docker stack deploy` takes them from its environment")
    if stack.configs:
        what = f"there must be {', '.join(stack.configs)}"
        yield Note(
            "configs", what, "`docker config create NAME FILE` makes one; `-o json` shows their contents"
        )
    for name, content in stack.secrets.items():
        yield Note(f"secrets.{name}", _holds(name, content), "`docker secret create NAME FILE` makes it")


def _holds(name: str, content: bytes) -> str:
    """A description of what is in a secret, with names only."""
    if not re.search(rf"-{FILE}-[0-9a-f]+$", name):
        return "it is a file with something in it that must not be seen"
    variables = [word.partition("=")[0] for word in shlex.split(content.decode(errors="replace"))]
    return f"it holds {', '.join(variables)}, a line NAME='value' each"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _texts(each)

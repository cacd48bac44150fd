"""``wavetank compose``: what runs of a service on its droplets, merged from all its compose files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.cli.planned import planned

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.run.session import Session
    from harness.topology.model import Service, StackService, Topology

Document = dict[str, Any]

MADE_UP = "not deployed: addresses and passwords of the deployment are made up"
OTHERS = "; others are masked: --secrets shows them"
PLACEHOLDERS = "not deployed: ${NAME} stands for what only a deployment knows"
MASKED = "passwords are masked: --secrets shows them"
NAMED = "passwords are in the swarm's secrets, which are only named here"


@click.command()
@options.common
@click.argument("wanted", metavar="SERVICE[@NODE]")
@click.option("--secrets", is_flag=True, help="Show passwords and secrets. Default: masked.")
@options.output
def compose(wanted: str, secrets: bool, output: str, **common: Any) -> int:
    """Show what runs of SERVICE on NODE, or on each of its droplets, as Docker Compose reads it.

    That is the application's compose files with all that the topology changes and Wavetank adds.
    """
    given = options.settings(common)
    topology, run = planned(given, login=lambda topology: _find(topology, wanted)[0] in _of_swarm(topology))
    service, nodes = _find(topology, wanted)
    if service in _of_swarm(topology):
        note = NAMED if run else PLACEHOLDERS
        found = [(nodes, _of_stack(topology, run, service.name))]
    else:
        note = MASKED if run else MADE_UP + OTHERS
        if secrets:
            note = "" if run else MADE_UP
        found = _of_projects(topology, run, service.name, nodes, secrets=secrets)
    document = {
        "run": run.choice.run if run else None,
        "service": service.name,
        "note": note,
        "merged": [{"nodes": list(nodes), "compose": each} for nodes, each in found],
    }
    options.show(
        document, "\n---\n".join(_text(service.name, nodes, note, each) for nodes, each in found), output
    )
    return 0


def _of_swarm(topology: Topology) -> Sequence[StackService]:
    return topology.swarm.services if topology.swarm else ()


def _find(topology: Topology, wanted: str) -> tuple[Service | StackService, tuple[str, ...]]:
    """The service, and those of its droplets that are meant. Raises ``UsageError`` with those there are."""
    from harness.core.errors import UsageError
    from harness.topology.source import did_you_mean

    every: list[Service | StackService] = [*topology.services, *_of_swarm(topology)]
    services = {each.name: each for each in every}
    name, at, node = wanted.partition("@")
    if name not in services:
        raise UsageError(f"{topology.file} has no service {name!r}: {did_you_mean(name, services)}")
    nodes = services[name].nodes
    if at and node not in nodes:
        raise UsageError(f"{name} has no droplet {node!r}: {did_you_mean(node, nodes)}")
    return services[name], (node,) if at else nodes


def _of_stack(topology: Topology, run: Session | None, name: str) -> Document:
    from harness.cli.stack import converted

    return dict(converted(topology, run, only=name).document)


def _of_projects(
    topology: Topology, run: Session | None, name: str, nodes: Sequence[str], *, secrets: bool
) -> list[tuple[tuple[str, ...], Document]]:
    """What each droplet has; those that have the same stand together."""
    from harness.run.report import hide
    from harness.stack.write import escaped
    from harness.topology.rendering.imagined import imagined

    deployment = run.deployment if run else imagined(topology)
    hidden = run.secrets if run else ()
    service = next(each for each in topology.services if each.name == name)
    found: list[tuple[tuple[str, ...], Document]] = []
    for node in nodes:
        plain = _merged(topology, deployment, service, node)
        document = escaped(plain if secrets else hide(plain, {*hidden, *_secret_values(plain)}))
        same = next((at for at, (_, known) in enumerate(found) if known == document), None)
        if same is None:
            found.append(((node,), document))
        else:
            found[same] = ((*found[same][0], node), document)
    return found


def _secret_values(document: Document) -> Iterator[str]:
    """What is secret of the containers' variables: by their names, or a password in a URL."""
    from harness.stack.secrecy import USER_INFO, has_secret_name

    for body in document.get("services", {}).values():
        for name, value in body.get("environment", {}).items():
            if has_secret_name(name):
                yield str(value)
            yield from (found[1] for found in USER_INFO.finditer(str(value)))


def _merged(topology: Topology, deployment: Any, service: Service, node: str) -> Document:
    from harness.deploy import gather
    from harness.deploy.bundle import merged
    from harness.topology.rendering import projects

    here = projects.node_project(topology, deployment, service, node)
    images = gather.names([service], {service.name: here.project})[service.name]
    return merged(service, topology.app, here.files, here.project, images)


def _text(name: str, nodes: Sequence[str], note: str, document: Mapping[str, Any]) -> str:
    from harness.stack import write

    lines = [", ".join(f"{name}@{node}" for node in nodes), *([note] if note else [])]
    return "".join(f"# {each}\n" for each in lines) + write.text(document).rstrip("\n")

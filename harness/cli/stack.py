"""``wavetank stack``: the stack file generated from the compose files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.cli.planned import planned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.run.session import Session
    from harness.stack import Note, Source, Stack
    from harness.topology.deployment import Deployment
    from harness.topology.model import Topology


@click.command()
@options.common
@click.option(
    "--ipvs/--no-ipvs",
    default=None,
    help="Whether the nodes' kernels support IPVS. Default: ask the nodes of a running deployment, else yes.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the stack to this file instead."
)
@options.output
def stack(output: str, out: Path | None, ipvs: bool | None, **common: Any) -> int:
    """Show the docker-stack.yml generated from the swarm's compose files, with notes on what differs.

    For a running deployment with its real values, else with ${NAME} for values that only a deployment has.
    """
    from harness.stack import preview

    given = options.settings(common)
    topology, run = planned(given, login=lambda _: ipvs is None)
    made = converted(topology, run, ipvs=ipvs)
    notes = [*made.notes, *(preview.remaining_steps(made) if run is None else ())]
    for note in notes:
        click.echo(f"note: {note}", err=True)
    _show(made, notes, run.choice.run if run else None, out, output)
    return 0


def _has_ipvs(session: Session) -> bool:
    from harness.swarm.deploy import has_ipvs

    try:
        return session.topology.swarm is not None and has_ipvs(session.access, session.topology)
    finally:
        session.access.close()


def converted(
    topology: Topology, run: Session | None, *, ipvs: bool | None = None, only: str | None = None
) -> Stack:
    """The stack, or what it has of one service, with what is known. Builds no image.

    ``ipvs`` None: the nodes of the run are asked; without one their kernels are taken to support it.
    """
    if ipvs is None:
        ipvs = _has_ipvs(run) if run else True
    return _convert(topology, run.deployment if run else None, ipvs=ipvs, only=only)


def _convert(
    topology: Topology, deployment: Deployment | None, *, ipvs: bool, only: str | None = None
) -> Stack:
    from harness.stack import convert, preview

    known = deployment or preview.placeholder_deployment(topology)
    sources = _sources(topology, known) if topology.swarm else []
    chosen = [each for each in sources if only in (None, each.service.name)]
    return convert(topology, [preview.with_programs(each) for each in chosen], ipvs=ipvs)


def _sources(topology: Topology, deployment: Deployment) -> Sequence[Source]:
    from harness.deploy import gather
    from harness.swarm.deploy import sources
    from harness.topology.rendering import projects

    assert topology.swarm is not None
    services = topology.swarm.services
    rendered = {each.name: projects.render_for_stack(topology, deployment, each) for each in services}
    apps = {each.name: projects.stack_project(topology, each, rendered[each.name]) for each in services}
    return sources(topology, deployment, rendered, gather.names(services, apps))


def _show(made: Stack, notes: Sequence[Note], run: str | None, out: Path | None, output: str) -> None:
    from harness.stack import taint

    if out:
        out.write_text(made.text)
    document = {
        "run": run,
        "stack": made.text,
        "configs": {name: taint.masked(each.decode(errors="replace")) for name, each in made.configs.items()},
        "secrets": sorted(made.secrets),
        "notes": [asdict(note) for note in notes],
    }
    options.show(document, str(out) if out else made.text.rstrip("\n"), output)

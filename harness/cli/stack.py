"""``wavetank stack``: the stack file generated from the compose files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.deploy.gather import Images
    from harness.run.session import Session
    from harness.run.settings import Choice, Settings
    from harness.stack import Note, Source, Stack
    from harness.topology.deployment import Deployment
    from harness.topology.model import Topology
    from harness.topology.rendering.render import RenderedStack


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
    topology, run = _begin(given, login=ipvs is None)
    if run is None:
        made = _convert(topology, None, ipvs=ipvs is not False)
        notes = [*made.notes, *preview.remaining_steps(made)]
    else:
        made = _convert(topology, run.deployment, ipvs=_has_ipvs(run) if ipvs is None else ipvs)
        notes = [*made.notes]
    for note in notes:
        click.echo(f"note: {note}", err=True)
    _show(made, notes, run.choice.run if run else None, out, output)
    return 0


def _begin(given: Settings, *, login: bool) -> tuple[Topology, Session | None]:
    """The topology, and the session of the running deployment made from it, if there is one."""
    from harness.run import settings

    latest = settings.latest_run(given.state_dir)
    if given.run or (latest and given.target in (None, latest.facts().get("target"))):
        choice = settings.choose_existing(given)
        topology = settings.load_topology(choice)
        if given.run or choice.run_dir.facts().get("topology") == str(topology.file):
            return topology, _session(choice, topology, login=login)
    return settings.load_topology(settings.choose_new(given), compose=True), None


def _session(choice: Choice, topology: Topology, *, login: bool) -> Session | None:
    """The session of the run, if the run is complete."""
    from harness import provision
    from harness.core.progress import Progress
    from harness.run import settings
    from harness.run.session import session_of

    if settings.is_nowhere(choice.settings, choice.target):
        return None
    target = settings.resolve(choice.settings, choice.target, Progress())
    found = provision.observe(target, topology, choice.run)
    complete = (
        topology.droplets.keys() <= found.nodes.keys() and topology.databases.keys() <= found.databases.keys()
    )
    return session_of(choice, target, topology, found, login=login) if complete else None


def _has_ipvs(session: Session) -> bool:
    from harness.swarm.deploy import has_ipvs

    try:
        return session.topology.swarm is not None and has_ipvs(session.access, session.topology)
    finally:
        session.access.close()


def _convert(topology: Topology, deployment: Deployment | None, *, ipvs: bool) -> Stack:
    """Convert with what is known. Builds no image and asks no node."""
    from harness.stack import convert, preview

    known = deployment or preview.placeholder_deployment(topology)
    sources = _sources(topology, known) if topology.swarm else []
    return convert(topology, [preview.with_programs(each) for each in sources], ipvs=ipvs)


def _sources(topology: Topology, deployment: Deployment) -> Sequence[Source]:
    from harness.swarm.deploy import sources
    from harness.topology.rendering.projects import render_for_stack

    assert topology.swarm is not None
    rendered = {each.name: render_for_stack(topology, deployment, each) for each in topology.swarm.services}
    return sources(topology, deployment, rendered, _images(topology, rendered))


def _images(topology: Topology, rendered: Mapping[str, RenderedStack]) -> Images:
    """The images by name, with the ids of those that this machine has."""
    from harness.compose import containers
    from harness.core.errors import EngineError
    from harness.deploy.engine import REPOSITORY, Image
    from harness.deploy.gather import look_up
    from harness.topology.rendering import projects

    assert topology.swarm is not None
    services = topology.swarm.services
    apps = {each.name: projects.stack_project(topology, each, rendered[each.name]) for each in services}
    try:
        return look_up(services, apps)
    except EngineError:  # no engine here: names must do
        return {
            name: {
                each.name: Image(f"{REPOSITORY}/{name}" if each.build else each.image, "")
                for each in containers(app)
            }
            for name, app in apps.items()
        }


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

"""``wavetank stack``: the stack that the compose files become."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands import options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.deploy.gather import Images
    from harness.deployment import Deployment
    from harness.settings import Choice, Settings
    from harness.stack import Note, Source, Stack
    from harness.target import Target
    from harness.topology.model import Topology
    from harness.topology.render import RenderedStack


@click.command()
@options.common
@click.option(
    "--ipvs/--no-ipvs",
    default=None,
    help="Whether the nodes' kernels have IPVS. Default: ask those of a run that is up, else yes.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a file instead.")
@options.output
def stack(output: str, out: Path | None, ipvs: bool | None, **common: Any) -> int:
    """Show the docker-stack.yml that the swarm's compose files become, and what is otherwise in it.

    Of a run that is up with its real values, else with ${NAME} for what only a deployment knows.
    """
    from harness.stack import preview

    given = options.settings(common)
    topology, standing = _begin(given)
    if standing is None:
        made = _convert(topology, None, ipvs=ipvs is not False)
        notes = [*made.notes, *preview.left_to_do(made)]
    else:
        choice, target, deployment = standing
        capable = _has_ipvs(choice, target, topology, deployment) if ipvs is None else ipvs
        made = _convert(topology, deployment, ipvs=capable)
        notes = [*made.notes]
    for note in notes:
        click.echo(f"note: {note}", err=True)
    run = standing[0].run if standing else None
    _show(made, notes, run, out, output)
    return 0


def _begin(given: Settings) -> tuple[Topology, tuple[Choice, Target, Deployment] | None]:
    """The topology, and the run that has it, where one is up."""
    from harness import settings

    if given.run or settings.latest_run(given.state_dir):
        choice = settings.choose_existing(given)
        topology = settings.load_topology(choice)
        if given.run or _is_of(choice, topology):
            return topology, _standing(choice, topology)
    return settings.load_topology(settings.choose_new(given)), None


def _is_of(choice: Choice, topology: Topology) -> bool:
    """Whether the run was stood up with this topology."""
    return choice.run_dir.facts().get("topology") == str(topology.file)


def _standing(choice: Choice, topology: Topology) -> tuple[Choice, Target, Deployment] | None:
    """The run's deployment, if all of it is there."""
    from harness import provision, settings
    from harness.progress import Progress

    if settings.is_nowhere(choice.settings, choice.target):
        return None
    target = settings.resolve(choice.settings, choice.target, Progress())
    deployment = provision.observe(target, topology, choice.run)
    there = topology.droplets.keys() <= deployment.nodes.keys()
    return (
        (choice, target, deployment)
        if there and topology.databases.keys() <= deployment.databases.keys()
        else None
    )


def _has_ipvs(choice: Choice, target: Target, topology: Topology, deployment: Deployment) -> bool:
    from harness.ssh import open_access
    from harness.swarm.deploy import has_ipvs

    access = open_access(choice.run_dir, target, topology, deployment)
    try:
        return topology.swarm is not None and has_ipvs(access, topology)
    finally:
        access.close()


def _convert(topology: Topology, deployment: Deployment | None, *, ipvs: bool) -> Stack:
    """Convert with what is known. Builds no image and asks no node."""
    from harness.stack import convert, preview

    known = deployment or preview.unknown(topology)
    sources = _sources(topology, known) if topology.swarm else []
    return convert(topology, [preview.with_programs(each) for each in sources], ipvs=ipvs)


def _sources(topology: Topology, deployment: Deployment) -> Sequence[Source]:
    from harness.swarm.deploy import sources
    from harness.topology.render import render_stack_service

    assert topology.swarm is not None
    rendered = {
        each.name: render_stack_service(topology, deployment, each) for each in topology.swarm.services
    }
    return sources(topology, deployment, rendered, _images(topology, rendered))


def _images(topology: Topology, rendered: Mapping[str, RenderedStack]) -> Images:
    """The images by name, with the ids of those that this machine has."""
    from harness.deploy.appfiles import read_app
    from harness.deploy.engine import REPOSITORY, Image
    from harness.deploy.gather import look_up
    from harness.errors import EngineError

    assert topology.swarm is not None
    services = topology.swarm.services
    apps = {
        each.name: read_app(rendered[each.name].text, each.compose, rendered[each.name].environment)
        for each in services
    }
    try:
        return look_up(services, apps)
    except EngineError:  # no engine here: names must do
        return {
            name: {
                each.name: Image(f"{REPOSITORY}/{name}" if each.build else each.image, "")
                for each in app.containers
            }
            for name, app in apps.items()
        }


def _show(made: Stack, notes: Sequence[Note], run: str | None, out: Path | None, output: str) -> None:
    from dataclasses import asdict

    from harness.stack import marks

    if out:
        out.write_text(made.text)
    document = {
        "run": run,
        "stack": made.text,
        "configs": {name: marks.shown(each.decode(errors="replace")) for name, each in made.configs.items()},
        "secrets": sorted(made.secrets),
        "notes": [asdict(note) for note in notes],
    }
    options.show(document, str(out) if out else made.text.rstrip("\n"), output)

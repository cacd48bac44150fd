"""``wavetank status``: the deployment as the API describes it now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.run.settings import Choice
    from harness.target.target import Target
    from harness.topology.deployment import Deployment
    from harness.topology.model import Topology

RUNNING = {"active", "online"}


@click.command()
@options.reading
@options.output
def status(output: str, **common: Any) -> int:
    """Show the run's droplets, databases and swarm services; exit 1 if one is missing or not running.

    Also exits 1 if a resource that does not belong to the run is in its VPC or has its tags.
    """
    from harness import provision
    from harness.core.progress import Progress
    from harness.run import settings

    given = options.settings(common)
    if given.existing is not None:
        return _existing(settings.choose_existing(given), output)
    choice = settings.choose_existing(given) if given.run or settings.latest_run(given.state_dir) else None
    name = choice.target if choice else given.target or "local"
    if settings.is_nowhere(given, name):
        if choice and given.run:
            raise settings.no_such_run(choice, ())
        options.show({"run": None, "runs": []}, "there is no deployment", output)
        return 0
    target = settings.resolve(choice.settings if choice else given, name, Progress())
    runs = sorted(provision.runs(target))
    if choice and given.run and choice.run not in runs:
        raise settings.no_such_run(choice, runs)
    if choice is None or choice.run not in runs:
        text = f"runs on {name}: {', '.join(runs) or 'none'}"
        options.show({"run": None, "runs": runs}, text, output)
        return 0
    document = {**_observe(choice, target), "runs": runs}
    options.show(document, _text(document), output)
    return 0 if document["healthy"] else 1


def _existing(choice: Choice, output: str) -> int:
    """The same for an existing deployment, with tagged droplets that are not in the topology."""
    from harness.existing.match import named
    from harness.isolation.session import open_network_session

    stands = open_network_session(choice.settings, whole=False)
    assert stands.match is not None
    extra = [named(each) for each in stands.match.extra]
    found = _described(choice, stands.target, stands.topology, stands.deployment)
    no_key = bool(stands.topology.swarm and choice.place and choice.place.key is None)
    notes = ["the swarm's services were not checked: that needs --ssh-key"] if no_key else []
    document = {**found, **options.existing(choice), "extra": extra, "notes": notes}
    document["healthy"] = found["healthy"] and not extra
    lines = [_text(document), *(f"  {each}: not in the topology" for each in extra), *notes]
    options.show(document, "\n".join(lines), output)
    return 0 if document["healthy"] else 1


def _observe(choice: Choice, target: Target) -> dict[str, Any]:
    from harness import provision
    from harness.run import settings

    topology = settings.load_topology(choice)
    return _described(choice, target, topology, provision.observe(target, topology, choice.run))


def _described(choice: Choice, target: Target, topology: Topology, deployment: Deployment) -> dict[str, Any]:
    from harness.run import report

    resources = report.parts(deployment)
    missing = [
        name
        for kind, wanted in (("droplets", topology.droplets), ("databases", topology.databases))
        for name in wanted
        if name not in {each["name"] for each in resources[kind]}
    ]
    running = all(each["status"] in RUNNING for kind in resources.values() for each in kind)
    asked = topology.swarm and running and not (choice.place and choice.place.key is None)
    stack, trouble = _stack(choice, target, topology, deployment) if asked else ([], "")
    running = running and not trouble and all(each["running"] == each["desired"] for each in stack)
    return {
        "run": choice.run,
        "target": choice.target,
        "topology": topology.name,
        "healthy": running and not missing and not deployment.guests,
        "missing": missing,
        "guests": list(deployment.guests),
        **resources,
        "stack": stack,
        "trouble": trouble,
    }


def _stack(
    choice: Choice, target: Target, topology: Topology, deployment: Deployment
) -> tuple[list[dict[str, Any]], str]:
    """Each service of the swarm's stack with the number and nodes of its tasks; or why that is unknown."""
    from harness.core.errors import WavetankError
    from harness.run.session import session_of
    from harness.swarm import snapshot
    from harness.swarm.converge import inspect_stack

    try:
        access = session_of(choice, target, topology, deployment).access
        state = inspect_stack(access, topology, deployment, snapshot.a_manager(access, topology))
    except WavetankError as error:
        return [], str(error)
    found = []
    for each in state.services:
        nodes = [task.node for task in state.running(each.name)]
        found.append(
            {"service": each.name, "running": len(nodes), "desired": each.desired, "nodes": sorted(nodes)}
        )
    return found, ""


def _text(document: dict[str, Any]) -> str:
    name = f"existing {document['existing']}" if "existing" in document else document["run"]
    lines = [f"{name} ({document['topology']} on {document['target']})"]
    for each in (*document["droplets"], *document["databases"]):
        private, public = (each["addresses"][end] or "-" for end in ("private", "public"))
        lines.append(f"  {each['name']:12} {each['status']:9} {private:15} {public}")
    lines += [f"  {name:12} missing" for name in document["missing"]]
    lines += [f"  not of the run: {each}" for each in document["guests"]]
    for each in document["stack"]:
        count = f"{each['running']}/{each['desired']}"
        lines.append(f"  {each['service']:20} {count:9} {' '.join(each['nodes'])}")
    if document["trouble"]:
        lines.append(f"  {document['trouble']}")
    return "\n".join(lines)

"""Names: the stack's services share one network, and find each other by name on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.core.errors import TopologyError
from harness.stack import values
from harness.stack.model import Note
from harness.stack.service import Job, Part

LIKE_OURS = ("bridge", "default")


def network(job: Job, siblings: Sequence[Job]) -> Part:
    """``networks``, ``network_mode``, ``container_name``, ``links``: aliases on the stack's network.

    ``siblings`` are all of the compose file's services. Raises ``TopologyError`` for another mode.
    """
    names = (job.name, *_own_names(job), *_linked_names(job, siblings))
    aliases = [name for name in dict.fromkeys(names) if name != job.title]
    body = {"networks": {"default": {"aliases": aliases}}} if aliases else {}
    return Part(body=body, notes=(*_mode(job), *_networks(job), *_container_name(job), *_links(job)))


def check_names(jobs: Sequence[Job], parts: Sequence[Part]) -> None:
    """Raise ``TopologyError`` where one name would lead to two services."""
    owners: dict[str, Job] = {}
    for job in jobs:
        other = owners.setdefault(job.title, job)
        if other is not job:
            raise _ambiguous(job.title, job, other)
    for job, part in zip(jobs, parts, strict=True):
        for alias in _aliases(part):
            other = owners.setdefault(alias, job)
            if other.title != job.title:
                raise _ambiguous(alias, job, other)


def _aliases(part: Part) -> list[str]:
    aliases: list[str] = part.body.get("networks", {}).get("default", {}).get("aliases", [])
    return aliases


def _ambiguous(alias: str, job: Job, other: Job) -> TopologyError:
    where = f"{other.title} ({other.service.compose})"
    problem = f"on the stack's one network, {alias!r} would lead to {job.title} and to {where}"
    return job.error("", problem, "give one of the two another name")


def _own_names(job: Job) -> Iterator[str]:
    if "container_name" in job.body:
        yield values.text(job, "container_name", job.body["container_name"])
    given = job.body.get("networks")
    if isinstance(given, dict):
        for name, options in given.items():
            key = f"networks.{name}"
            yield from values.texts(job, key, values.section(job, key, options).get("aliases", []))


def _linked_names(job: Job, siblings: Sequence[Job]) -> Iterator[str]:
    """What others of the compose file call it."""
    for sibling in siblings:
        for link in _link_words(sibling):
            target, _, alias = link.partition(":")
            if target == job.name and alias:
                yield alias


def _link_words(job: Job) -> list[str]:
    return values.texts(job, "links", job.body.get("links", []))


def _container_name(job: Job) -> Iterator[Note]:
    if "container_name" in job.body:
        name = values.text(job, "container_name", job.body["container_name"])
        what = f"a swarm names containers itself, {job.stack}_{job.title}.1.ID and so on"
        yield job.note("container_name", what, f"{name} is another name of the service on the network")


def _links(job: Job) -> Iterator[Note]:
    if _link_words(job):
        instead = "all services find each other by name; a link's alias is another name of its service"
        yield job.note("links", "a stack has no links", instead)


def _networks(job: Job) -> Iterator[Note]:
    if "networks" not in job.body:
        return
    assert job.topology.swarm is not None
    overlay = job.topology.swarm.overlay.name
    given = job.body["networks"]
    names = ", ".join(map(str, given))
    instead = "names that it had there lead to it here; whoever is in the stack can reach it"
    yield job.note("networks", f"it is on {overlay} instead of {names}", instead)
    for name, options in given.items() if isinstance(given, dict) else ():
        others = [key for key in _options(job, name, options) if key != "aliases"]
        if others:
            key = f"networks.{name}"
            yield job.note(key, f"{', '.join(others)} cannot be chosen in a swarm", "it is left out")


def _options(job: Job, name: str, options: Any) -> dict[str, Any]:
    return values.section(job, f"networks.{name}", options)


def _mode(job: Job) -> Iterator[Note]:
    if "network_mode" not in job.body:
        return
    mode = values.text(job, "network_mode", job.body["network_mode"])
    if mode not in LIKE_OURS:
        problem = f"network_mode `{mode}`: a stack's service is on the stack's network, and nowhere else"
        remedy = "take it out, or have the service as a compose project on its nodes (plain `services:`)"
        raise job.error("network_mode", problem, remedy)
    yield job.note("network_mode", f"a stack has no mode `{mode}`", "it is on the stack's network")

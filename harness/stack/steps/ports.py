"""Ports: those that the topology names are published on the node of each task, and no others.

Services reach each other by name at any port. In mode host the client's address stays what it is, and neither
virtual addresses nor the routing mesh are needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.stack import taint, values
from harness.stack.model import Note
from harness.stack.service import Job, Part

WRITTEN = re.compile(
    r"(?:(?P<host>\[[^\]]+\]|[^:\[\]]+):)??"
    r"(?:(?P<published>\d*|\d+-\d+):)?(?P<target>\d+(?:-\d+)?)(?:/(?P<protocol>tcp|udp|sctp))?"
)
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
KEYS = ("target", "published", "protocol", "mode", "host_ip", "name", "app_protocol")


@dataclass(frozen=True)
class Port:
    """A port that a compose file publishes; ``published`` is None where Docker would choose one."""

    written: str
    target: int
    published: int | None
    protocol: str = "tcp"
    host: str = ""


def ports(job: Job) -> Part:
    """``ports``: the topology's, as they concern this service; a note for each other of the compose file."""
    own = tuple(published(job))
    mine = {each.published: each for each in own if _is_wanted(job, each)}
    wanted = [port for port in job.service.ports if port in mine or (job.main and not _elsewhere(job, port))]
    body = [_entry(port, mine[port].target if port in mine else port) for port in wanted]
    notes = [_note(job, each) for each in own if not _is_wanted(job, each)]
    notes += [_opened(job, each) for each in mine.values() if each.host in LOOPBACK]
    return Part(body={"ports": body} if body else {}, notes=tuple(notes))


def published(job: Job) -> Iterator[Port]:
    """The ports that the compose file publishes, ranges as one port each."""
    for item in values.items(job, "ports", job.body.get("ports")):
        yield from _long(job, item) if isinstance(item, dict) else _short(job, item)


def publishes(job: Job) -> bool:
    """Whether a port of the node is taken by each task."""
    return "ports" in ports(job).body


def unclaimed(jobs: Sequence[Job]) -> tuple[int, ...]:
    """Ports that the topology wants of a service with several containers, of which none publishes them."""
    claimed = {each.published for job in jobs for each in published(job) if _is_wanted(job, each)}
    if any(job.main for job in jobs):
        return ()
    return tuple(port for port in jobs[0].service.ports if port not in claimed)


def _is_wanted(job: Job, port: Port) -> bool:
    return port.protocol == "tcp" and port.published in job.service.ports


def _elsewhere(job: Job, wanted: int) -> bool:
    """Whether another service of the compose file publishes that port."""
    others = (_sibling(job, name) for name in job.file.started if name != job.name)
    return any(each.published == wanted for other in others for each in published(other))


def _sibling(job: Job, name: str) -> Job:
    return replace(job, name=name, title=name, main=False)


def _entry(port: int, target: int) -> dict[str, Any]:
    return {"target": target, "published": port, "protocol": "tcp", "mode": "host"}


def _note(job: Job, port: Port) -> Note:
    what = f"{port.written} is not published"
    if port.protocol != "tcp":
        return job.note("ports", what, f"services reach it as {job.title}:{port.target}/{port.protocol}")
    instead = f"services reach it as {job.title}:{port.target}; `ports:` of the swarm's service publishes one"
    return job.note("ports", what, instead)


def _opened(job: Job, port: Port) -> Note:
    what = f"a swarm publishes {port.published} on all of a node's addresses, not on {port.host} alone"
    instead = "have a firewall keep it shut, or do not name it in the topology's `ports:`"
    return job.note("ports", what, instead)


def _short(job: Job, item: Any) -> Iterator[Port]:
    written = values.text(job, "ports", item)
    found = WRITTEN.fullmatch(written)
    if not found:
        if taint.laters(written):  # which port is known only to a deployment
            return
        raise job.error("ports", f"not a port: `{written}`", 'write "8080:80" or "8080:80/udp"')
    pattern = Port(written, 0, None, found["protocol"] or "tcp", found["host"] or "")
    yield from _spread(job, pattern, found["target"], found["published"])


def _long(job: Job, item: dict[str, Any]) -> Iterator[Port]:
    given = values.section(job, "ports", item)
    unknown = [key for key in given if key not in KEYS]
    if unknown or "target" not in given:
        problem = f"no such key: {unknown[0]}" if unknown else "it has no target"
        raise job.error("ports", problem, f"a port has {', '.join(KEYS)}")
    said = {key: values.text(job, f"ports.{key}", value) for key, value in given.items()}
    published = said.get("published", "")
    written = f"{published}:{said['target']}" if published else said["target"]
    pattern = Port(written, 0, None, said.get("protocol", "tcp"), said.get("host_ip", ""))
    yield from _spread(job, pattern, said["target"], published)


def _spread(job: Job, pattern: Port, target: str, published: str | None) -> Iterator[Port]:
    """``8000-8001:80-81`` as two ports. One port at any of a range is where Docker chooses."""
    targets = _range(job, pattern, target)
    outer: Sequence[int | None] = _range(job, pattern, published) if published else [None] * len(targets)
    if len(targets) == 1 < len(outer):
        outer = [None]
    if len(targets) != len(outer):
        problem = f"{pattern.written}: the two ranges differ in length"
        raise job.error("ports", problem, "make them equally long")
    for inner, at in zip(targets, outer, strict=True):
        yield replace(pattern, target=inner, published=at)


def _range(job: Job, pattern: Port, given: str) -> range:
    first, _, last = given.partition("-")
    if not (first.isdigit() and (last or first).isdigit()):
        raise job.error("ports", f"not a port: `{pattern.written}`", 'write "8080:80" or "8080:80/udp"')
    return range(int(first), int(last or first) + 1)

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
from harness.stack.service import Fragment, ServiceContext

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


def ports(context: ServiceContext) -> Fragment:
    """``ports``: those of the topology for this service; a note for each other port of the compose file."""
    own = tuple(published(context))
    mine = {each.published: each for each in own if _is_wanted(context, each)}
    wanted = [
        port
        for port in context.service.ports
        if port in mine or (context.main and not _elsewhere(context, port))
    ]
    body = [_entry(port, mine[port].target if port in mine else port) for port in wanted]
    notes = [_note(context, each) for each in own if not _is_wanted(context, each)]
    notes += [_opened(context, each) for each in mine.values() if each.host in LOOPBACK]
    return Fragment(body={"ports": body} if body else {}, notes=tuple(notes))


def published(context: ServiceContext) -> Iterator[Port]:
    """The ports that the compose file publishes, each port of a range by itself."""
    for item in values.items(context, "ports", context.body.get("ports")):
        yield from _long(context, item) if isinstance(item, dict) else _short(context, item)


def publishes(context: ServiceContext) -> bool:
    """Whether each task takes a port of its node."""
    return "ports" in ports(context).body


def unclaimed(contexts: Sequence[ServiceContext]) -> tuple[int, ...]:
    """Ports that the topology names for a service with several containers, and none of these publishes."""
    claimed = {
        each.published for context in contexts for each in published(context) if _is_wanted(context, each)
    }
    if any(context.main for context in contexts):
        return ()
    return tuple(port for port in contexts[0].service.ports if port not in claimed)


def _is_wanted(context: ServiceContext, port: Port) -> bool:
    return port.protocol == "tcp" and port.published in context.service.ports


def _elsewhere(context: ServiceContext, wanted: int) -> bool:
    """Whether another service of the compose file publishes that port."""
    others = (_sibling(context, name) for name in context.file.started if name != context.name)
    return any(each.published == wanted for other in others for each in published(other))


def _sibling(context: ServiceContext, name: str) -> ServiceContext:
    return replace(context, name=name, title=name, main=False)


def _entry(port: int, target: int) -> dict[str, Any]:
    return {"target": target, "published": port, "protocol": "tcp", "mode": "host"}


def _note(context: ServiceContext, port: Port) -> Note:
    what = f"{port.written} is not published"
    if port.protocol != "tcp":
        return context.note(
            "ports", what, f"services reach it as {context.title}:{port.target}/{port.protocol}"
        )
    instead = (
        f"services reach it as {context.title}:{port.target}; `ports:` of the swarm's service publishes one"
    )
    return context.note("ports", what, instead)


def _opened(context: ServiceContext, port: Port) -> Note:
    what = f"a swarm publishes {port.published} on all of a node's addresses, not on {port.host} alone"
    instead = "have a firewall keep it shut, or do not name it in the topology's `ports:`"
    return context.note("ports", what, instead)


def _short(context: ServiceContext, item: Any) -> Iterator[Port]:
    written = values.string(context, "ports", item)
    found = WRITTEN.fullmatch(written)
    if not found:
        if taint.deferred_names(written):  # which port is known only to a deployment
            return
        raise context.error("ports", f"not a port: `{written}`", 'write "8080:80" or "8080:80/udp"')
    pattern = Port(written, 0, None, found["protocol"] or "tcp", found["host"] or "")
    yield from _expand(context, pattern, found["target"], found["published"])


def _long(context: ServiceContext, item: dict[str, Any]) -> Iterator[Port]:
    given = values.section(context, "ports", item)
    unknown = [key for key in given if key not in KEYS]
    if unknown or "target" not in given:
        problem = f"no such key: {unknown[0]}" if unknown else "it has no target"
        raise context.error("ports", problem, f"a port has {', '.join(KEYS)}")
    given_text = {key: values.string(context, f"ports.{key}", value) for key, value in given.items()}
    published = given_text.get("published", "")
    written = f"{published}:{given_text['target']}" if published else given_text["target"]
    pattern = Port(written, 0, None, given_text.get("protocol", "tcp"), given_text.get("host_ip", ""))
    yield from _expand(context, pattern, given_text["target"], published)


def _expand(context: ServiceContext, pattern: Port, target: str, published: str | None) -> Iterator[Port]:
    """``8000-8001:80-81`` as two ports. One port at any of a range is where Docker chooses."""
    targets = _range(context, pattern, target)
    outer: Sequence[int | None] = _range(context, pattern, published) if published else [None] * len(targets)
    if len(targets) == 1 < len(outer):
        outer = [None]
    if len(targets) != len(outer):
        problem = f"{pattern.written}: the two ranges differ in length"
        raise context.error("ports", problem, "make them equally long")
    for inner, at in zip(targets, outer, strict=True):
        yield replace(pattern, target=inner, published=at)


def _range(context: ServiceContext, pattern: Port, given: str) -> range:
    first, _, last = given.partition("-")
    if not (first.isdigit() and (last or first).isdigit()):
        raise context.error("ports", f"not a port: `{pattern.written}`", 'write "8080:80" or "8080:80/udp"')
    return range(int(first), int(last or first) + 1)

"""Ports: those that the topology names are published on the node of each task, and no others.

Services reach each other by name at any port. In mode host the client's address stays what it is, and neither
virtual addresses nor the routing mesh are needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.stack.model import Note
from harness.stack.service import Fragment, ServiceContext

LOOPBACK = ("127.0.0.1", "::1")


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
    """The ports that the compose file publishes, each port of a range by itself, as Compose has them."""
    for each in context.body.get("ports", ()):
        outer, target = each.get("published", ""), each["target"]
        protocol, host = each.get("protocol", "tcp"), each.get("host_ip", "")
        written = f"{outer}:{target}" if outer else str(target)
        if host:
            written = f"{f'[{host}]' if ':' in host else host}:{outer}:{target}"
        # One port at any of a range is where Docker chooses.
        chosen = int(outer) if outer.isdigit() else None
        yield Port(written if protocol == "tcp" else f"{written}/{protocol}", target, chosen, protocol, host)


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

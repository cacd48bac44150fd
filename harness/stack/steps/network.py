"""Names: the stack's services share one network, and resolve each other by name on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.core.errors import TopologyError
from harness.stack.model import Note
from harness.stack.service import Fragment, ServiceContext

LIKE_OURS = ("bridge", "default")


def network(context: ServiceContext, siblings: Sequence[ServiceContext]) -> Fragment:
    """``networks``, ``network_mode``, ``container_name``, ``links``: aliases on the stack's network.

    ``siblings`` are all of the compose file's services. Raises ``TopologyError`` for another mode.
    """
    names = (context.name, *_own_names(context), *_linked_names(context, siblings))
    aliases = [name for name in dict.fromkeys(names) if name != context.title]
    body = {"networks": {"default": {"aliases": aliases}}} if aliases else {}
    return Fragment(
        body=body, notes=(*_mode(context), *_networks(context), *_container_name(context), *_links(context))
    )


def check_names(contexts: Sequence[ServiceContext], fragments: Sequence[Fragment]) -> None:
    """Raise ``TopologyError`` where one name would resolve to two services."""
    owners: dict[str, ServiceContext] = {}
    for context in contexts:
        other = owners.setdefault(context.title, context)
        if other is not context:
            raise _ambiguous(context.title, context, other)
    for context, fragment in zip(contexts, fragments, strict=True):
        for alias in _aliases(fragment):
            other = owners.setdefault(alias, context)
            if other.title != context.title:
                raise _ambiguous(alias, context, other)


def _aliases(fragment: Fragment) -> list[str]:
    aliases: list[str] = fragment.body.get("networks", {}).get("default", {}).get("aliases", [])
    return aliases


def _ambiguous(alias: str, context: ServiceContext, other: ServiceContext) -> TopologyError:
    where = f"{other.title} ({other.service.compose})"
    problem = f"on the stack's one network, {alias!r} would lead to {context.title} and to {where}"
    return context.error("", problem, "give one of the two another name")


def _own_names(context: ServiceContext) -> Iterator[str]:
    if "container_name" in context.body:
        yield context.body["container_name"]
    for options in context.body.get("networks", {}).values():
        yield from (options or {}).get("aliases", ())


def _linked_names(context: ServiceContext, siblings: Sequence[ServiceContext]) -> Iterator[str]:
    """The names that other services of the compose file have for it."""
    for sibling in siblings:
        for link in sibling.body.get("links", ()):
            target, _, alias = link.partition(":")
            if target == context.name and alias:
                yield alias


def _container_name(context: ServiceContext) -> Iterator[Note]:
    if "container_name" in context.body:
        name = context.body["container_name"]
        what = f"a swarm names containers itself, {context.stack}_{context.title}.1.ID and so on"
        yield context.note("container_name", what, f"{name} is another name of the service on the network")


def _links(context: ServiceContext) -> Iterator[Note]:
    if context.body.get("links"):
        instead = "all services find each other by name; a link's alias is another name of its service"
        yield context.note("links", "a stack has no links", instead)


def _networks(context: ServiceContext) -> Iterator[Note]:
    if "networks" not in context.body:
        return
    assert context.topology.swarm is not None
    overlay = context.topology.swarm.overlay.name
    given = context.body["networks"]
    names = ", ".join(map(str, given))
    instead = "names that it had there lead to it here; whoever is in the stack can reach it"
    yield context.note("networks", f"it is on {overlay} instead of {names}", instead)
    declared = context.file.document.get("networks", {})
    for name, options in given.items():
        key = f"networks.{name}"
        others = [each for each in options or {} if each != "aliases"]
        if others:
            yield context.note(key, f"{', '.join(others)} cannot be chosen in a swarm", "it is left out")
        if declared.get(name, {}).get("internal"):
            what = f"{name} was shut off from outside (`internal: true`), and {overlay} is not"
            yield context.note(key, what, "what may leave the nodes is for their firewalls to say")


def _mode(context: ServiceContext) -> Iterator[Note]:
    if "network_mode" not in context.body:
        return
    mode = context.body["network_mode"]
    if mode not in LIKE_OURS:
        problem = f"network_mode `{mode}`: a stack's service is on the stack's network, and nowhere else"
        remedy = "take it out, or have the service as a compose project on its nodes (plain `services:`)"
        raise context.error("network_mode", problem, remedy)
    yield context.note("network_mode", f"a stack has no mode `{mode}`", "it is on the stack's network")

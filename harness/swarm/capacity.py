"""How many tasks of a service its swarm can run, by the rules of Docker's scheduler. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.swarm.placing import facts, satisfies


@dataclass(frozen=True)
class Capacity:
    """``nodes``: host names of the nodes that may run it; ``per_node``: how many tasks each takes; None: any.

    ``reason`` says why a node takes no more. ``constraints`` are those of the service.
    """

    nodes: tuple[str, ...]
    per_node: int | None
    reason: str
    constraints: tuple[str, ...]

    @property
    def total(self) -> int | None:
        """How many tasks can run; None where there is no limit."""
        return 0 if not self.nodes else None if self.per_node is None else self.per_node * len(self.nodes)


def capacity(service: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> Capacity:
    """The capacity of ``nodes`` for ``service``, each in the form that ``docker ... inspect`` prints."""
    spec = service["Spec"]
    placement = spec["TaskTemplate"].get("Placement") or {}
    constraints = tuple(placement.get("Constraints") or ())
    able = [each for each in nodes if _is_open(each) and _allows(each, constraints)]
    ports = [
        f"{port['PublishedPort']}/{port['Protocol']}"
        for port in (spec.get("EndpointSpec") or {}).get("Ports") or ()
        if port.get("PublishMode") == "host"
    ]
    limit = placement.get("MaxReplicas") or None
    each, reason = (1, f"it publishes {', '.join(ports)} there") if ports else (limit, "its stack says so")
    names = tuple(sorted(str(node["Description"]["Hostname"]) for node in able))
    return Capacity(names, each, reason, constraints)


def _is_open(node: Mapping[str, Any]) -> bool:
    state, availability = node["Status"]["State"], node["Spec"]["Availability"]
    return (state, availability) == ("ready", "active")


def _allows(node: Mapping[str, Any], constraints: Sequence[str]) -> bool:
    known = facts(node)
    return all(satisfies(each, known) for each in constraints)


def problem(name: str, replicas: int, found: Capacity) -> str:
    """Why there cannot be so many replicas, and what to do; "" if there can be."""
    if replicas == 0 or found.total is None or replicas <= found.total:
        return ""
    where = f"swarm.services.{name}.droplets"
    if not found.nodes:
        asked = ", ".join(found.constraints) or "one that is ready and takes tasks"
        return (
            f"{name}={replicas}: no node may run it (it asks for {asked})\n"
            f"  remedy: bring a droplet of {where} back, or have more there; `wavetank up` labels them"
        )
    return (
        f"{name}={replicas}: at most {found.total} can run, as a node takes {found.per_node} "
        f"({found.reason}) and {', '.join(found.nodes)} may run it\n"
        f"  remedy: say {name}={found.total}, or have more droplets in {where}"
    )

"""``deploy``: replicas, placement, resources, and what happens when a task ends or is replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from harness.stack.model import Note
from harness.stack.service import Fragment, ServiceContext
from harness.stack.steps.mounts import has_data
from harness.stack.steps.ports import publishes
from harness.topology.model import StackService
from harness.topology.validation.placement import eligible, exclusions, problem_with

IMAGE_LABEL = "wavetank.image"
RESTART_DELAY, MONITOR = "1s", "10s"
KEYS = (
    "mode", "replicas", "labels", "placement", "resources", "restart_policy", "update_config",
    "rollback_config", "endpoint_mode",
)  # fmt: skip
PLACEMENT_KEYS = ("constraints", "preferences", "max_replicas_per_node")
UPDATE_KEYS = ("parallelism", "delay", "failure_action", "monitor", "max_failure_ratio", "order")
RESTART_KEYS = ("condition", "delay", "max_attempts", "window")
ORDERS = ("start-first", "stop-first")
PERIOD = 100_000  # microseconds, of cpu_quota where cpu_period does not say


def deployment(context: ServiceContext, image: str) -> Fragment:
    """The ``deploy`` section; ``image`` is the readable name of the image.

    Raises ``TopologyError`` for replicas that no node can place.
    """
    given = context.body.get("deploy", {})
    _check_keys(context, "deploy", given, KEYS)
    service = _constrained(context, given)
    placement = _placement(context, given, service)
    replicas = _replicas(context, given)
    _check_capacity(context, service, replicas, placement)
    order, why = _order(context, service, given, replicas)
    resources, notes = _resources(context, given)
    deploy: dict[str, Any] = {
        "mode": "replicated",
        "replicas": replicas,
        "endpoint_mode": "vip" if context.ipvs else "dnsrr",
        "labels": {**given.get("labels", {}), IMAGE_LABEL: image},
        "placement": placement,
        "restart_policy": _restart(context, given),
        "update_config": _update(context, given, "update_config", "rollback", order),
        "rollback_config": _update(context, given, "rollback_config", "pause", order),
    }
    if resources:
        deploy["resources"] = resources
    return Fragment(body={"deploy": deploy}, notes=(*_differences(context, given, replicas), *why, *notes))


def _constrained(context: ServiceContext, given: Mapping[str, Any]) -> StackService:
    """The topology's service with the compose file's constraints too. Raises ``TopologyError``."""
    own = tuple(given.get("placement", {}).get("constraints", ()))
    key = "deploy.placement.constraints"
    for each in own:
        if found := problem_with(each):
            raise context.error(key, *found)
    service = replace(context.service, constraints=(*context.service.constraints, *own))
    if own and not eligible(context.topology, service):
        problem = f"no droplet can take a task of it: {'; '.join(exclusions(context.topology, service))}"
        raise context.error(key, problem, "name another droplet in the topology, or take the constraint out")
    return service


def _placement(context: ServiceContext, given: Mapping[str, Any], service: StackService) -> dict[str, Any]:
    own = given.get("placement", {})
    _check_keys(context, "deploy.placement", own, PLACEMENT_KEYS)
    constraints = [f"node.labels.{context.service.name} == true", *service.constraints]
    return {**own, "constraints": list(dict.fromkeys(constraints))}


def _replicas(context: ServiceContext, given: Mapping[str, Any]) -> int:
    """The topology's for the main container, the compose file's own for others."""
    if context.main:
        return context.service.replicas
    return int(given.get("replicas", context.body.get("scale", 1)))


def _check_capacity(
    context: ServiceContext, service: StackService, replicas: int, placement: dict[str, Any]
) -> None:
    """Where a node takes a limited number of tasks, there must be enough nodes."""
    nodes = eligible(context.topology, service)
    most = 1 if publishes(context) else placement.get("max_replicas_per_node")
    if most and replicas > len(nodes) * most:
        why = "a port is published once on each node" if publishes(context) else "max_replicas_per_node"
        problem = (
            f"{replicas} replicas that no node can place: {why}, and only {', '.join(nodes)} can take one"
        )
        remedy = f"ask for {len(nodes) * most} at most, or name more droplets"
        raise context.topology_error("replicas", problem, remedy)


def _order(
    context: ServiceContext, service: StackService, given: Mapping[str, Any], replicas: int
) -> tuple[str, tuple[Note, ...]]:
    """``stop-first`` where the old and the new task would conflict, and else as the topology says."""
    own = given.get("update_config", {})
    wanted = context.service.order if context.main else own.get("order", context.service.order)
    if wanted not in ORDERS:
        remedy = f"take {' or '.join(ORDERS)}"
        raise context.error("deploy.update_config.order", "no such order of an update", remedy)
    if wanted != "start-first":
        return wanted, ()
    if has_data(context):
        what = "a new task that starts first would write to the same volume as the old one"
    elif publishes(context) and replicas >= len(eligible(context.topology, service)):
        what = "a new task that starts first would find no node on which its port is free"
    else:
        return wanted, ()
    return "stop-first", (context.note("deploy.update_config.order", what, "updates stop the old one first"),)


def _update(
    context: ServiceContext, given: Mapping[str, Any], key: str, action: str, order: str
) -> dict[str, Any]:
    own = given.get(key, {})
    _check_keys(context, f"deploy.{key}", own, UPDATE_KEYS)
    return {"parallelism": 1, "failure_action": action, "monitor": MONITOR, **own, "order": order}


def _restart(context: ServiceContext, given: Mapping[str, Any]) -> dict[str, Any]:
    own = given.get("restart_policy", {})
    _check_keys(context, "deploy.restart_policy", own, RESTART_KEYS)
    if own:
        return {"condition": "any", "delay": RESTART_DELAY, **own}
    written = str(context.body.get("restart", "always"))
    condition, _, attempts = written.partition(":")
    if condition in ("always", "unless-stopped"):
        return {"condition": "any", "delay": RESTART_DELAY}
    if condition in ("no", "false"):
        return {"condition": "none"}
    if condition != "on-failure":
        remedy = "take always, unless-stopped, on-failure or no"
        raise context.error("restart", f"no such restart policy: `{written}`", remedy)
    policy: dict[str, Any] = {"condition": "on-failure", "delay": RESTART_DELAY}
    if attempts and not attempts.isdecimal():
        problem = f"not a number of attempts: `{attempts}`"
        raise context.error("restart", problem, "write one, as `on-failure:3`")
    return policy | ({"max_attempts": int(attempts)} if attempts else {})


def _resources(context: ServiceContext, given: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Note, ...]]:
    """Limits and reservations, from ``deploy`` and from compose's older keys."""
    own = given.get("resources", {})
    _check_keys(context, "deploy.resources", own, ("limits", "reservations"))
    notes: list[Note] = []
    result = {}
    for kind, older in (("limits", _older_limits(context)), ("reservations", _older_reservations(context))):
        key = f"deploy.resources.{kind}"
        section = {**older, **own.get(kind, {})}
        if section.pop("pids", None) is not None:
            instead = "it is left out; `ulimits: {nproc: N}` limits a user's"
            notes.append(context.note(f"{key}.pids", "no limit of processes is converted", instead))
        if "devices" in section:
            remedy = "have the service as a compose project on its nodes (plain `services:`)"
            raise context.error(f"{key}.devices", "a stack cannot reserve devices", remedy)
        _check_keys(context, key, section, ("cpus", "memory", "generic_resources"))
        for name in ("cpus", "memory"):
            if name in section:
                section[name] = _size(section[name]) if name == "memory" else _number(section[name])
        if section:
            result[kind] = section
    return result, (*notes, *_reserving(context))


def _older_limits(context: ServiceContext) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "mem_limit" in context.body:
        found["memory"] = context.body["mem_limit"]
    if "cpus" in context.body:
        found["cpus"] = context.body["cpus"]
    elif "cpu_quota" in context.body:
        quota, period = int(context.body["cpu_quota"]), int(context.body.get("cpu_period", PERIOD))
        found["cpus"] = f"{quota / period:.3f}"
    return found


def _older_reservations(context: ServiceContext) -> dict[str, Any]:
    return {"memory": context.body["mem_reservation"]} if "mem_reservation" in context.body else {}


def _reserving(context: ServiceContext) -> Iterator[Note]:
    if "mem_reservation" in context.body:
        what = "a swarm keeps that much memory of a node for each task"
        yield context.note(
            "mem_reservation", what, "a task that finds no node with as much free stays pending"
        )


def _differences(context: ServiceContext, given: Mapping[str, Any], replicas: int) -> Iterator[Note]:
    """Where the topology, or the kernel, decides otherwise than the compose file."""
    mode = given.get("mode", "replicated")
    if mode != "replicated":
        instead = f"it has {replicas} tasks, by `replicas` of the swarm's service"
        yield context.note("deploy.mode", f"mode {mode} is not kept", instead)
    for key, own in (("deploy.replicas", given.get("replicas")), ("scale", context.body.get("scale"))):
        if context.main and own is not None and int(own) != replicas:
            yield context.note(key, "the topology says how many", f"it begins with {replicas}")
    endpoint = "vip" if context.ipvs else "dnsrr"
    if given.get("endpoint_mode", endpoint) != endpoint:
        what = f"the nodes' kernels {'have' if context.ipvs else 'lack'} virtual addresses"
        yield context.note("deploy.endpoint_mode", what, f"it is {endpoint}")
    own_order = given.get("update_config", {}).get("order")
    if context.main and own_order not in (None, context.service.order):
        instead = f"it is {context.service.order}, by `order` of the swarm's service"
        yield context.note("deploy.update_config.order", "the topology says in which order", instead)
    if context.body.get("restart") in ("no", "false"):
        what = "what has ended counts as missing in a swarm"
        yield context.note("restart", what, "nothing starts it again, and the stack never has all its tasks")
    if "restart" not in context.body and not given.get("restart_policy"):
        what = "there is none, so that compose leaves alone what has ended"
        yield context.note("restart", what, "a swarm starts it again; `restart: always` says so")


def _size(value: Any) -> str:
    """Bytes as users write them: ``512m``."""
    size = int(value)
    units = (each for each in (("g", 30), ("m", 20), ("k", 10)) if size and not size % (1 << each[1]))
    unit, power = next(units, ("", 0))
    return f"{size >> power}{unit}"


def _number(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _check_keys(context: ServiceContext, key: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for each in given:
        if each not in known:
            problem = "a stack has no such key there"
            raise context.error(f"{key}.{each}", problem, f"take it out; there are {', '.join(known)}")

"""``deploy``: how many tasks, where, with how much, and what happens when one ends or is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.stack import values
from harness.stack.model import Note
from harness.stack.service import Job, Part
from harness.stack.steps.mounts import has_data
from harness.stack.steps.ports import publishes
from harness.topology.validation.placement import eligible

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


def deployment(job: Job, image: str) -> Part:
    """The ``deploy`` section; ``image`` is the readable name of the image.

    Raises ``TopologyError`` for replicas that no node can place.
    """
    given = values.section(job, "deploy", job.body.get("deploy"))
    _check_keys(job, "deploy", given, KEYS)
    placement = _placement(job, given)
    replicas = _replicas(job, given)
    _check_room(job, replicas, placement)
    order, why = _order(job, given, replicas)
    resources, remarks = _resources(job, given)
    deploy: dict[str, Any] = {
        "mode": "replicated",
        "replicas": replicas,
        "endpoint_mode": "vip" if job.ipvs else "dnsrr",
        "labels": {**values.mapping(job, "deploy.labels", given.get("labels", {})), IMAGE_LABEL: image},
        "placement": placement,
        "restart_policy": _restart(job, given),
        "update_config": _update(job, given, "update_config", "rollback", order),
        "rollback_config": _update(job, given, "rollback_config", "pause", order),
    }
    if resources:
        deploy["resources"] = resources
    return Part(body={"deploy": deploy}, notes=(*_differences(job, given, replicas), *why, *remarks))


def _placement(job: Job, given: dict[str, Any]) -> dict[str, Any]:
    own = values.section(job, "deploy.placement", given.get("placement"))
    _check_keys(job, "deploy.placement", own, PLACEMENT_KEYS)
    constraints = [f"node.labels.{job.service.name} == true", *job.service.constraints]
    constraints += values.texts(job, "deploy.placement.constraints", own.get("constraints", []))
    placement = {**own, "constraints": list(dict.fromkeys(constraints))}
    if most := own.get("max_replicas_per_node"):
        placement["max_replicas_per_node"] = values.whole(job, "deploy.placement.max_replicas_per_node", most)
    return placement


def _replicas(job: Job, given: dict[str, Any]) -> int:
    """The topology's for the main container, the compose file's own for others."""
    if job.main:
        return job.service.replicas
    return values.whole(job, "deploy.replicas", given.get("replicas", job.body.get("scale", 1)))


def _check_room(job: Job, replicas: int, placement: dict[str, Any]) -> None:
    """Where a node takes so many tasks only, there must be nodes enough."""
    nodes = eligible(job.topology, job.service)
    most = 1 if publishes(job) else placement.get("max_replicas_per_node")
    if most and replicas > len(nodes) * most:
        why = "a port is published once on each node" if publishes(job) else "max_replicas_per_node"
        problem = (
            f"{replicas} replicas that no node can place: {why}, and only {', '.join(nodes)} can take one"
        )
        remedy = f"ask for {len(nodes) * most} at most, or name more droplets"
        raise job.topology_error("replicas", problem, remedy)


def _order(job: Job, given: dict[str, Any], replicas: int) -> tuple[str, tuple[Note, ...]]:
    """``stop-first`` where two tasks would be in each other's way, and else as the topology says."""
    own = values.section(job, "deploy.update_config", given.get("update_config"))
    wanted = job.service.order if job.main else own.get("order", job.service.order)
    if wanted not in ORDERS:
        remedy = f"take {' or '.join(ORDERS)}"
        raise job.error("deploy.update_config.order", "no such order of an update", remedy)
    if wanted != "start-first":
        return wanted, ()
    if has_data(job):
        what = "a new task that starts first would write to the same volume as the old one"
    elif publishes(job) and replicas >= len(eligible(job.topology, job.service)):
        what = "a new task that starts first would find no node on which its port is free"
    else:
        return wanted, ()
    return "stop-first", (job.note("deploy.update_config.order", what, "updates stop the old one first"),)


def _update(job: Job, given: dict[str, Any], key: str, action: str, order: str) -> dict[str, Any]:
    own = values.section(job, f"deploy.{key}", given.get(key))
    _check_keys(job, f"deploy.{key}", own, UPDATE_KEYS)
    if "parallelism" in own:
        own["parallelism"] = values.whole(job, f"deploy.{key}.parallelism", own["parallelism"])
    if "max_failure_ratio" in own:
        ratio = own["max_failure_ratio"]
        own["max_failure_ratio"] = values.fraction(job, f"deploy.{key}.max_failure_ratio", ratio)
    return {"parallelism": 1, "failure_action": action, "monitor": MONITOR, **own, "order": order}


def _restart(job: Job, given: dict[str, Any]) -> dict[str, Any]:
    own = values.section(job, "deploy.restart_policy", given.get("restart_policy"))
    _check_keys(job, "deploy.restart_policy", own, RESTART_KEYS)
    if own:
        if "max_attempts" in own:
            own["max_attempts"] = values.whole(job, "deploy.restart_policy.max_attempts", own["max_attempts"])
        return {"condition": "any", "delay": RESTART_DELAY, **own}
    written = values.text(job, "restart", job.body.get("restart", "always"))
    condition, _, attempts = written.partition(":")
    if condition in ("always", "unless-stopped"):
        return {"condition": "any", "delay": RESTART_DELAY}
    if condition in ("no", "false"):
        return {"condition": "none"}
    if condition != "on-failure":
        remedy = "take always, unless-stopped, on-failure or no"
        raise job.error("restart", f"no such restart policy: `{written}`", remedy)
    policy: dict[str, Any] = {"condition": "on-failure", "delay": RESTART_DELAY}
    return policy | ({"max_attempts": values.whole(job, "restart", attempts)} if attempts else {})


def _resources(job: Job, given: dict[str, Any]) -> tuple[dict[str, Any], tuple[Note, ...]]:
    """Limits and reservations, from ``deploy`` and from compose's older keys."""
    own = values.section(job, "deploy.resources", given.get("resources"))
    _check_keys(job, "deploy.resources", own, ("limits", "reservations"))
    notes: list[Note] = []
    result = {}
    for kind, older in (("limits", _older_limits(job)), ("reservations", _older_reservations(job))):
        key = f"deploy.resources.{kind}"
        section = {**older, **values.section(job, key, own.get(kind))}
        if section.pop("pids", None) is not None:
            instead = "it is left out; `ulimits: {nproc: N}` limits a user's"
            notes.append(job.note(f"{key}.pids", "stacks of version 3.8 have no limit of processes", instead))
        if "devices" in section:
            remedy = "have the service as a compose project on its nodes (plain `services:`)"
            raise job.error(f"{key}.devices", "a stack cannot reserve devices", remedy)
        _check_keys(job, key, section, ("cpus", "memory", "generic_resources"))
        for name in ("cpus", "memory"):
            if name in section:
                section[name] = values.text(job, f"{key}.{name}", section[name])
        if section:
            result[kind] = section
    return result, (*notes, *_reserving(job))


def _older_limits(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "mem_limit" in job.body:
        found["memory"] = job.body["mem_limit"]
    if "cpus" in job.body:
        found["cpus"] = job.body["cpus"]
    elif "cpu_quota" in job.body:
        quota = values.whole(job, "cpu_quota", job.body["cpu_quota"])
        period = values.whole(job, "cpu_period", job.body.get("cpu_period", PERIOD))
        found["cpus"] = f"{quota / period:.3f}"
    return found


def _older_reservations(job: Job) -> dict[str, Any]:
    return {"memory": job.body["mem_reservation"]} if "mem_reservation" in job.body else {}


def _reserving(job: Job) -> Iterator[Note]:
    if "mem_reservation" in job.body:
        what = "a swarm keeps that much memory of a node for each task"
        yield job.note("mem_reservation", what, "a task that finds no node with as much free stays pending")


def _differences(job: Job, given: dict[str, Any], replicas: int) -> Iterator[Note]:
    """Where the topology, or the kernel, decides otherwise than the compose file."""
    mode = given.get("mode", "replicated")
    if mode != "replicated":
        instead = f"it has {replicas} tasks, by `replicas` of the swarm's service"
        yield job.note("deploy.mode", f"mode {mode} is not kept", instead)
    for key, own in (("deploy.replicas", given.get("replicas")), ("scale", job.body.get("scale"))):
        if job.main and own is not None and values.whole(job, key, own) != replicas:
            yield job.note(key, "the topology says how many", f"it begins with {replicas}")
    endpoint = "vip" if job.ipvs else "dnsrr"
    if given.get("endpoint_mode", endpoint) != endpoint:
        what = f"the nodes' kernels {'have' if job.ipvs else 'lack'} virtual addresses"
        yield job.note("deploy.endpoint_mode", what, f"it is {endpoint}")
    own_order = values.section(job, "deploy.update_config", given.get("update_config")).get("order")
    if job.main and own_order not in (None, job.service.order):
        instead = f"it is {job.service.order}, by `order` of the swarm's service"
        yield job.note("deploy.update_config.order", "the topology says in which order", instead)
    if values.text(job, "restart", job.body.get("restart", "")) in ("no", "false"):
        what = "what has ended counts as missing in a swarm"
        yield job.note("restart", what, "nothing starts it again, and the stack never has all its tasks")


def _check_keys(job: Job, key: str, given: dict[str, Any], known: tuple[str, ...]) -> None:
    for each in given:
        if each not in known:
            problem = "a stack has no such key there"
            raise job.error(f"{key}.{each}", problem, f"take it out; there are {', '.join(known)}")

"""The environment of a run: this machine, every node, Judge0's settings, and the timing noise.

Nothing here raises if something cannot be found out: the reason is then under ``unknown``.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from harness.access.ssh import Access
from harness.core.errors import WavetankError
from harness.core.parallel import in_parallel
from harness.judge0.workers import Workers
from harness.load.watch import machine, noise
from harness.load.watch.counters import MIB
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

Ask = Callable[[str], Any]
INSPECT_SECONDS = 60.0
SYSCTLS = (
    "net/core/somaxconn",
    "net/ipv4/tcp_max_syn_backlog",
    "net/ipv4/ip_local_port_range",
    "fs/file-max",
    "kernel/pid_max",
)
# Of a container's environment only these: the rest may hold passwords.
VARIABLES = (
    "COUNT",
    "INTERVAL",
    "MAX_QUEUE_SIZE",
    "MAX_SUBMISSION_BATCH_SIZE",
    "NUMBER_OF_RUNS",
    "RAILS_MAX_THREADS",
    "RAILS_SERVER_PROCESSES",
    "SUBMISSION_CACHE_DURATION",
    "WEB_CONCURRENCY",
)
# Of Judge0's /config_info what limits how much or how fast.
SETTINGS = (
    "enable_wait_result",
    "enable_callbacks",
    "enable_batched_submissions",
    "max_submission_batch_size",
    "max_queue_size",
    "number_of_runs",
    "cpu_time_limit",
    "max_cpu_time_limit",
    "wall_time_limit",
    "memory_limit",
    "max_processes_and_or_threads",
    "submission_cache_duration",
)
INSPECT_SCRIPT = r"""
emit() { printf '%s|%s\n' "$1" "$2"; }
emit kernel "$(uname -r)"
emit os "$(. /etc/os-release && echo "$PRETTY_NAME")"
emit cores "$(nproc)"
while read -r name value unit; do
    [ "$name" != MemTotal: ] || emit memory "$((value * 1024))"
done < /proc/meminfo
cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null \
    | while read -r bytes; do emit memory "$bytes"; done
for name in @SYSCTLS@; do emit "sysctl|$name" "$(tr '\t' ' ' < /proc/sys/$name)"; done 2>/dev/null
emit engine "$(docker version --format '{{.Server.Version}}' 2>/dev/null)"
names='{{.ID}}|{{.Image}}|{{.Label "com.docker.compose.project"}}|{{.Label "com.docker.stack.namespace"}}'
names="$names|{{.Label \"com.docker.swarm.service.name\"}}|{{.Names}}"
docker ps --format "$names" 2>/dev/null | while read -r line; do
    id=${line%%|*}
    emit container "$line"
    pid=$(docker inspect --format '{{.State.Pid}}' "$id")
    emit "nofile|$id" "$(sed -n 's/^Max open files *\([0-9a-z]*\).*/\1/p' "/proc/$pid/limits")"
    docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$id" \
        | grep -E '^(@VARIABLES@)=' | while read -r pair; do emit "setting|$id" "$pair"; done
    [ -x "/proc/$pid/root/usr/sbin/nginx" ] || continue
    emit "nginx|$id" "$(docker exec "$id" nginx -v 2>&1 </dev/null)"
done
"""


def environment(
    access: Access,
    deployment: Deployment,
    topology: Topology,
    target: Target,
    *,
    ask: Ask | None = None,
    count: Callable[[], Workers] | None = None,
) -> dict[str, Any]:
    """Inspect everything. Takes about a second and one command on each node; not during a run.

    ``ask`` gets JSON of Judge0's API by path, such as ``/config_info``, and raises where it cannot; ``count``
    counts its workers.

    ``machine`` is this one, ``noise`` its timing noise, ``noisy`` why that puts results in doubt
    (empty: it does not). ``nodes`` by name: ``kernel``, ``os``, ``cores``, ``memory_mb``, ``engine``,
    ``sysctl``, ``size``, ``role`` and ``containers``, of which each has ``image``, ``nofile``, ``settings``
    and, where it is one, ``nginx``. ``databases``: ``engine``, ``version`` and ``size``. ``judge0``:
    ``version``, ``settings`` and ``workers``.
    """
    calm = noise.measure().to_dict()
    return {
        "target": target.name,
        "emulated": bool(target.info),
        "region": topology.region,
        "machine": this_machine(),
        "noise": calm,
        "noisy": calm["noisy"],
        "nodes": _nodes(access, topology),
        "databases": {
            name: {"engine": each.engine, "version": each.version, "size": each.size}
            for name, each in topology.databases.items()
            if name in deployment.databases
        },
        "judge0": judge0(ask, count) if ask else {},
    }


def this_machine() -> dict[str, Any]:
    """The machine that the generator runs on; in the emulator all nodes do, too."""
    facts: dict[str, Any] = {
        "kernel": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cores": machine.processors(),
    }
    if machine.MEMINFO.exists():
        facts["memory_mb"] = machine.memory(machine.MEMINFO.read_text())[0] // MIB
    facts["model"] = _model(Path("/proc/cpuinfo"))
    return facts


def judge0(ask: Ask, count: Callable[[], Workers] | None) -> dict[str, Any]:
    """What Judge0 reports of its own limits. ``settings`` are those of ``/config_info`` that matter."""
    facts: dict[str, Any] = {}
    reads: list[tuple[str, Callable[[], Any]]] = [
        ("version", lambda: ask("/about")["version"]),
        ("settings", lambda: _settings(ask("/config_info"))),
    ]
    if count is not None:
        reads.append(("workers", lambda: count().total))
    for name, read in reads:
        try:
            facts[name] = read()
        except Exception as error:  # noqa: BLE001 (another Judge0 may answer anything at all)
            facts.setdefault("unknown", {})[name] = str(error)[:200] or type(error).__name__
    return facts


def inspect_script() -> str:
    """The read-only script that inspects a node."""
    return INSPECT_SCRIPT.replace("@SYSCTLS@", " ".join(SYSCTLS)).replace("@VARIABLES@", "|".join(VARIABLES))


def parse_inspection(text: str) -> dict[str, Any]:
    """The output of the script, as plain JSON; unknown lines are ignored."""
    facts: dict[str, Any] = {"sysctl": {}, "containers": {}}
    found: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        name, _, rest = line.partition("|")
        key, _, value = rest.partition("|")
        if name in ("kernel", "os", "engine") and rest:
            facts[name] = rest
        elif name == "cores":
            facts["cores"] = int(rest)
        elif name == "memory" and rest.isdigit():
            facts["memory_mb"] = min(facts.get("memory_mb", int(rest) // MIB), int(rest) // MIB)
        elif name == "sysctl":
            facts["sysctl"][key.replace("/", ".")] = value
        elif name == "container":
            found[key] = _container(facts["containers"], value)
        elif name in ("nofile", "setting", "nginx") and key in found:
            _detail(found[key], name, value)
    return facts


def _nodes(access: Access, topology: Topology) -> dict[str, Any]:
    watched = [name for name in access.nodes if name in topology.droplets]
    facts = in_parallel([partial(_node, access, name) for name in watched])
    sizes = {name: {"role": each.role, "size": each.size} for name, each in topology.droplets.items()}
    return {name: sizes[name] | found for name, found in zip(watched, facts, strict=True)}


def _node(access: Access, name: str) -> dict[str, Any]:
    try:
        return parse_inspection(access.run(name, inspect_script(), deadline=INSPECT_SECONDS))
    except WavetankError as error:
        return {"unknown": str(error).splitlines()[0][:200]}


def _container(containers: dict[str, Any], value: str) -> dict[str, Any]:
    image, project, stack, service, name = value.split("|")
    known = project or service.removeprefix(f"{stack}_") or name
    described: dict[str, Any] = {"image": image, "settings": {}}
    containers.setdefault(known, []).append(described)
    return described


def _detail(container: dict[str, Any], name: str, value: str) -> None:
    if name == "setting":
        variable, _, given = value.partition("=")
        container["settings"][variable] = given
    elif value:
        container[name] = value.removeprefix("nginx version: ")


def _settings(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in SETTINGS if name in answer}


def _model(cpuinfo: Path) -> str:
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor()

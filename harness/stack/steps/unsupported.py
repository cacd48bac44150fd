"""Keys that a stack does not have: some are left out with a note, others are an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.stack.model import Note
from harness.stack.service import Fragment, ServiceContext

PLAIN = "have the service as a compose project on its nodes (plain `services:`)"
OWN_NAMESPACE = "it has namespaces of its own"

# key: (what a stack does not do, what is so instead)
LEFT_OUT: Mapping[str, tuple[str, str]] = {
    "annotations": ("a stack has none", "they are left out; `labels` are kept"),
    "attach": ("it is about the terminal of `compose up`", "`docker service logs` shows what it says"),
    "blkio_config": ("a swarm cannot limit disks", "it is left out"),
    "cgroup": ("a swarm cannot choose the control groups' namespace", "it is the engine's default"),
    "cgroup_parent": ("a swarm cannot choose it", "it is the engine's default"),
    "cpu_count": ("it is for Windows", "it is left out; `cpus` is kept"),
    "cpu_percent": ("it is for Windows", "it is left out; `cpus` is kept"),
    "cpu_rt_period": ("a swarm has no real-time scheduling", "it is left out"),
    "cpu_rt_runtime": ("a swarm has no real-time scheduling", "it is left out"),
    "cpu_shares": ("a swarm has no weights", "it is left out; `cpus` is kept as a limit"),
    "cpuset": ("a swarm cannot choose CPUs", "it is left out; `cpus` is kept as a limit"),
    "credential_spec": ("it is for Windows", "it is left out"),
    "depends_on": ("a swarm starts everything at once", "what ends for want of another is started again"),
    "develop": ("it is for working on the code", "it is left out"),
    "device_cgroup_rules": ("a swarm cannot set them", "they are left out"),
    "dns_opt": ("a stack has none", "they are left out; `dns` and `dns_search` are kept"),
    "domainname": ("a swarm cannot set it", "it is left out; services find each other by name"),
    "expose": ("it is not needed", "services reach each other at any port"),
    "group_add": ("a stack has none", "the program has the groups of its `user` only"),
    "isolation": ("it is for Windows", "it is left out"),
    "mac_address": ("a swarm cannot set it", "it is left out"),
    "mem_swappiness": ("a stack cannot set it", "it is the node's"),
    "memswap_limit": ("a stack cannot limit swap", "it is left out; `mem_limit` is kept"),
    "oom_kill_disable": ("a swarm cannot set it", "it is left out"),
    "oom_score_adj": ("a stack has none", "it is left out"),
    "pids_limit": ("no limit of processes is converted", "it is left out; `ulimits` are kept"),
    "platform": ("a stack has none", "each image is named by its id, which is of one platform"),
    "pull_policy": ("a swarm pulls nothing that is named by its id", "images are sent to the nodes"),
    "runtime": ("a swarm cannot choose it", "it is the engine's default (`default-runtime` in daemon.json)"),
    "storage_opt": ("a swarm cannot set it", "it is left out"),
    "userns_mode": ("a swarm cannot choose it", "it is the engine's default"),
    "uts": ("a swarm cannot choose it", OWN_NAMESPACE),
}

# key: (why it cannot be left out, what would be right)
REFUSED: Mapping[str, tuple[str, str]] = {
    "devices": ("a swarm gives no devices to its services", PLAIN),
    "external_links": (
        "a stack has no links, and what they name is not in it",
        "have that service in the stack too, and reach it by its name",
    ),
    "gpus": ("a swarm gives no devices to its services", PLAIN),
    "models": ("a stack has none", PLAIN),
    "post_start": ("a swarm runs nothing beside the program", "do it in the image's entry point"),
    "pre_stop": ("a swarm runs nothing beside the program", "do it in the program, at `stop_signal`"),
    "provider": ("a stack has none", PLAIN),
    "use_api_socket": ("a stack has none", "mount /var/run/docker.sock"),
    "volumes_from": ("tasks do not see each other's volumes", "name the volumes under `volumes:` of both"),
}
# These name a namespace; with another value than these, what the service sees would be another thing.
NAMESPACES: Mapping[str, tuple[str, ...]] = {"ipc": ("private", "shareable", "none"), "pid": ("private",)}

UNCONFINED = ("apparmor=unconfined", "apparmor:unconfined")


def unsupported(context: ServiceContext) -> Fragment:
    """A note for each key that is left out. Raises ``TopologyError`` for one that cannot be left out."""
    for key in context.body:
        if key in REFUSED:
            raise context.error(key, *REFUSED[key])
    noted = (context.note(key, *LEFT_OUT[key]) for key in context.body if key in LEFT_OUT)
    return Fragment(notes=(*noted, *_namespaces(context), *_security(context), *_extensions(context)))


def _namespaces(context: ServiceContext) -> Iterator[Note]:
    for key, harmless in NAMESPACES.items():
        if key not in context.body:
            continue
        value = str(context.body[key])
        if value not in harmless:
            raise context.error(key, f"a swarm cannot share a namespace (`{value}`)", PLAIN)
        yield context.note(key, "a swarm cannot choose it", OWN_NAMESPACE)


def _security(context: ServiceContext) -> Iterator[Note]:
    if "security_opt" not in context.body:
        return
    given = context.body["security_opt"]
    if any(each in UNCONFINED for each in given):
        what = "a swarm leaves every task in Docker's AppArmor profile"
        instead = (
            "where a node has AppArmor (`aa-status` says), that forbids mount, SYS_ADMIN or not: turn it "
            "off there (kernel option apparmor=0), or have the service as a compose project on its nodes"
        )
        yield context.note("security_opt", what, instead)
    others = [each for each in given if each not in UNCONFINED]
    if others:
        instead = "the engine's defaults hold; set others in the nodes' daemon.json"
        yield context.note("security_opt", f"a swarm takes none of {', '.join(others)}", instead)


def _extensions(context: ServiceContext) -> Iterator[Note]:
    for key in context.file.project.extensions.get(context.name, ()):
        yield context.note(key, "it says nothing to Docker", "it is left out")

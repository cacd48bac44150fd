"""What becomes of each key of a compose file's service. A test compares it with docs/stack.md."""

from __future__ import annotations

from collections.abc import Mapping

from harness.stack.steps.passed_through import PASSED_THROUGH
from harness.stack.steps.unsupported import LEFT_OUT, REFUSED

SAME = "the same"

# Keys that are converted, and to what.
CONVERTED: Mapping[str, str] = {
    "build": "`image`: built on your machine and sent to the nodes",
    "cap_add": "the same, with those of the topology's `cap_add`",
    "command": "the same; where there are secrets, what the shell becomes",
    "configs": "the same, read here and named by their content",
    "container_name": "another name of the service on the network, and a note",
    "cpu_period": "`deploy.resources.limits.cpus`, with `cpu_quota`",
    "cpu_quota": "`deploy.resources.limits.cpus`",
    "cpus": "`deploy.resources.limits.cpus`",
    "deploy": "the same, with the topology's replicas, order and placement",
    "entrypoint": "the same; where there are secrets, a shell that reads them first",
    "env_file": "`environment`, and a secret for passwords",
    "environment": "the same, and a secret for passwords",
    "extends": "written out: what it extends is read as well",
    "healthcheck": (
        "the same, every 3 s at the longest; a script in a secret where it holds a password; "
        "a note where it is quicker so or there is none"
    ),
    "image": "the same, by its id; its name is the label `wavetank.image`",
    "ipc": "a note; an error where it is another's namespace",
    "label_file": "`labels`",
    "links": "another name of the service linked to, and a note",
    "mem_limit": "`deploy.resources.limits.memory`",
    "mem_reservation": "`deploy.resources.reservations.memory`, and a note",
    "network_mode": "a note; an error where it is another network",
    "networks": "the stack's one network, names kept as aliases, and a note",
    "pid": "a note; an error where it is another's namespace",
    "ports": "the topology's `ports`, in mode host; a note for each other",
    "privileged": "`cap_add`, and a note, where the topology has one; else an error",
    "profiles": "the service is left out, as `compose up` leaves it out, and a note",
    "restart": "`deploy.restart_policy`; a note where there is none",
    "scale": "`deploy.replicas`; a note where the topology's replicas differ",
    "secrets": "the same, read here and named by their content",
    "security_opt": "a note",
    "shm_size": "memory mounted at /dev/shm",
    "tmpfs": "memory mounted there; a note where it has more options than a size",
    "volumes": (
        "your files as configs or secrets; volumes and paths of the node the same, and a note; "
        "an error for other directories of yours"
    ),
}


def table() -> dict[str, str]:
    """What becomes of each key, by key."""
    found = {
        **dict.fromkeys(PASSED_THROUGH, SAME),
        **CONVERTED,
        **{key: f"a note: {what}" for key, (what, _) in LEFT_OUT.items()},
        **{key: f"an error: {why}" for key, (why, _) in REFUSED.items()},
    }
    return dict(sorted(found.items()))


def is_known(key: str) -> bool:
    """Whether compose files have such a key in a service."""
    return key.startswith("x-") or any(key in each for each in (PASSED_THROUGH, CONVERTED, LEFT_OUT, REFUSED))

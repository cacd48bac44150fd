"""A swarm of a few nodes, and the conversion of one compose file for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from harness.core.errors import TopologyError
from harness.deploy.engine import Image
from harness.stack import Source, Stack, convert, secret_names
from harness.topology.model import Droplet, Management, Overlay, StackService, Swarm, Topology

ID = f"sha256:{'a' * 64}"
NOWHERE = Path("/nowhere/app/docker-compose.yml")
PASSWORD = "correct-horse-battery"

# What is said for each key where a list of one word would not do.
SAID = {
    "attach": "true",
    "blkio_config": "{weight: 300}",
    "cgroup": "private",
    "cgroup_parent": "x",
    "cpu_count": "3",
    "cpu_percent": "3",
    "cpu_rt_period": "1000",
    "cpu_rt_runtime": "1000",
    "cpu_shares": "3",
    "cpuset": "'0'",
    "credential_spec": "{file: x}",
    "depends_on": "[db]",
    "develop": "{watch: [{path: x, action: rebuild}]}",
    "devices": "['/dev/x:/dev/x']",
    "domainname": "x",
    "expose": "[80]",
    "gpus": "all",
    "isolation": "x",
    "mac_address": "'02:42:ac:11:65:43'",
    "mem_swappiness": "3",
    "memswap_limit": "4m",
    "oom_kill_disable": "true",
    "oom_score_adj": "3",
    "pids_limit": "4",
    "platform": "linux/amd64",
    "pull_policy": "always",
    "runtime": "x",
    "storage_opt": "{size: 1G}",
    "userns_mode": "host",
    "uts": "host",
    "volumes_from": "[db]",
}


def a_service(name: str = "web", **more: Any) -> StackService:
    """A service that may run on two workers."""
    plain = StackService(name, ("one", "two"), NOWHERE, (), {}, ())
    return replace(plain, **more)


def a_topology(*services: StackService) -> Topology:
    """A manager and two workers, with one network."""
    droplets = {
        name: Droplet(name, "s-1vcpu-1gb", "ubuntu-24-04-x64", name, True, "")
        for name in ("boss", "one", "two")
    }
    swarm = Swarm(("boss",), "app", Overlay("app-net"), services)
    return Topology(
        "small", Path("small.yaml"), "fra1", None, droplets, {}, (), (), (), Management("boss", ("self",)),
        Path("app"), swarm=swarm,
    )  # fmt: skip


def a_source(
    text: str,
    service: StackService | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    passwords: Sequence[str] = (PASSWORD,),
    files: Mapping[str, str] | None = None,
    known: bool = True,
) -> Source:
    """A source whose images are all here; ``known``: and what they run is known, too."""
    found = dict(environment or {})
    names = list(YAML(typ="safe", pure=True).load(text).get("services") or {})
    return Source(
        service=service or a_service(),
        text=text,
        environment=found,
        secret=secret_names(found, passwords),
        files=dict(files or {}),
        images={name: Image(f"wavetank-app/{name}:1", ID) for name in names},
        programs=dict.fromkeys(names, ("/entry", "serve")) if known else {},
        entrypoints=dict.fromkeys(names, ("/entry",)) if known else {},
    )


def converted(text: str, service: StackService | None = None, *, ipvs: bool = False, **more: Any) -> Stack:
    """The stack of one compose file."""
    source = a_source(text, service, **more)
    return convert(a_topology(source.service), [source], ipvs=ipvs)


def web(lines: str, service: StackService | None = None, **more: Any) -> tuple[dict[str, Any], Stack]:
    """The stack's service ``web`` of a compose file with these lines, and the stack."""
    stack = converted(compose(lines), service, **more)
    return stack.document["services"]["web"], stack


def compose(lines: str) -> str:
    """A compose file with one service that says what ``lines`` say."""
    said = "".join(f"    {line}\n" for line in lines.strip("\n").splitlines())
    return f"services:\n  web:\n    image: web\n{said}"


def refusal(text: str, service: StackService | None = None, **more: Any) -> TopologyError:
    """How a compose file is refused."""
    try:
        converted(text, service, **more)
    except TopologyError as error:
        return error
    raise AssertionError("it was converted")


def notes_of(stack: Stack, key: str) -> list[str]:
    """The notes on a key of service ``web``, as they are shown."""
    wanted = f"web: services.web.{key}"
    return [str(note) for note in stack.notes if note.where == wanted]

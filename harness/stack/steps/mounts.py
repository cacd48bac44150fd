"""What a container mounts: your files as configs or secrets, volumes, paths of the node, memory.

Your directories are not on a swarm's nodes, so the files that were mounted from one are copied one by one.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.stack.files import file_mode, read_file
from harness.stack.model import Note
from harness.stack.objects import file_fragment
from harness.stack.service import Fragment, ServiceContext, join
from harness.stack.steps.program import templated

SHM = "/dev/shm"  # noqa: S108 (it is the container's)
KINDS = ("volume", "bind", "tmpfs")
SIZE = re.compile(r"(\d+)([kmg]?)", re.IGNORECASE)
KEYS = ("type", "source", "target", "read_only", "consistency", *KINDS)
# Of the sections that a long mount may have, what the conversion keeps.
SUBKEYS = {"bind": ("propagation",), "volume": ("nocopy",), "tmpfs": ("size",)}
NOT_SHOWN = ("Dockerfile", ".dockerignore", ".env.example", ".git")
SHOWN = 5  # names in a note


@dataclass(frozen=True)
class Mount:
    """One mount. ``options`` is the section of its kind; ``unsupported`` are options that no stack has."""

    kind: str
    source: str
    target: str
    read_only: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()

    @property
    def is_beside_compose_file(self) -> bool:
        """Whether it is a path beside the compose file."""
        return self.kind == "bind" and not self.source.startswith(("/", "~"))


def mounts(context: ServiceContext) -> Fragment:
    """``volumes``, ``tmpfs`` and ``shm_size``. Raises ``TopologyError`` for what no node would have."""
    given = [_read(context, item) for item in context.body.get("volumes", ())]
    return join([*(_mounted(context, each) for each in given), _tmpfs(context), _shm(context)])


def has_data(context: ServiceContext) -> bool:
    """Whether it writes to a volume, which two tasks on a node would share."""
    given = (_read(context, item) for item in context.body.get("volumes", ()))
    return any(each.kind == "volume" and each.source and not each.read_only for each in given)


def _read(context: ServiceContext, item: Mapping[str, Any]) -> Mount:
    kind = item["type"]
    if kind not in KINDS:
        problem = f"a stack has no mounts of type `{kind}`"
        raise context.error("volumes.type", problem, f"take {', '.join(KINDS)}")
    options = item.get(kind, {})
    unknown = [key for key in item if key not in KEYS]
    return Mount(
        kind,
        item.get("source", ""),
        item["target"],
        item.get("read_only", False),
        {key: value for key, value in options.items() if key in SUBKEYS[kind]},
        (*unknown, *(_lost(kind, key, value) for key, value in options.items() if key not in SUBKEYS[kind])),
    )


def _lost(kind: str, key: str, value: Any) -> str:
    """An option as users write it: SELinux's label is a letter at the end of a short mount."""
    return str(value) if key == "selinux" else f"{kind}.{key}"


def _mounted(context: ServiceContext, mount: Mount) -> Fragment:
    fragments = [_unsupported(context, mount)]
    if mount.is_beside_compose_file:
        fragments.append(_from_project(context, mount))
    elif mount.kind == "bind":
        fragments.append(_node_path(context, mount))
    elif mount.kind == "tmpfs":
        given = mount.options.get("size")
        size = {} if given is None else {"size": int(given)}
        fragments.append(_memory(mount.target, size))
    else:
        fragments.append(_volume(context, mount))
    return join(fragments)


def _unsupported(context: ServiceContext, mount: Mount) -> Fragment:
    if not mount.unsupported:
        return Fragment()
    what = f"{', '.join(mount.unsupported)} of the mount at {mount.target} has no place in a stack"
    return Fragment(notes=(context.note("volumes", what, "it is left out"),))


def _from_project(context: ServiceContext, mount: Mount) -> Fragment:
    path = posixpath.normpath(mount.source)
    if path == ".":
        return _own_directory(context, mount)
    content = read_file(context, path)
    if content is not None:
        mode = file_mode(context, path)
        fragment = file_fragment(
            context, "volumes", content, mount.target, label=posixpath.basename(path), mode=mode
        )
        return join([fragment, Fragment(notes=tuple(_written(context, mount)))])
    if (context.directory / path).is_dir():
        problem = f"{mount.source} is a directory, and no node of the swarm has it"
        remedy = "copy it into the image, or mount its files one by one"
    else:
        problem = f"there is no {context.directory / path}"
        remedy = "correct the path, or have the topology render it (`files:` of the swarm's service)"
    raise context.error("volumes", problem, remedy)


def _own_directory(context: ServiceContext, mount: Mount) -> Fragment:
    """The directory of the compose file: files that the topology renders are where they would have been."""
    fragments = [
        file_fragment(context, "volumes", text.encode(), posixpath.join(mount.target, name), label=name)
        for name, text in context.source.beside.items()
    ]
    return join([*fragments, Fragment(notes=(*_absent(context, mount), *_written(context, mount)))])


def _absent(context: ServiceContext, mount: Mount) -> Iterator[Note]:
    missing = sorted(path.name for path in _beside(context) if path.name not in context.source.beside)
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        there = ", ".join(sorted(context.source.beside)) or "nothing"
        what = f"no node has this directory: {', '.join(missing[:SHOWN])}{more} will not be at {mount.target}"
        instead = f"there will be {there}; `files:` of the swarm's service adds what the program reads there"
        yield context.note("volumes", what, instead)


def _beside(context: ServiceContext) -> Iterator[Path]:
    """The files beside the compose file, apart from those that only building and deploying needs."""
    if not context.directory.is_dir():
        return
    for path in context.directory.iterdir():
        if path.name not in NOT_SHOWN and path != context.service.compose:
            yield path


def _written(context: ServiceContext, mount: Mount) -> Iterator[Note]:
    if not mount.read_only:
        what = f"what the program writes at {mount.target} does not come back to your directory"
        instead = "configs and secrets are read-only; say `:ro`, or use a volume"
        yield context.note("volumes", what, instead)


def _node_path(context: ServiceContext, mount: Mount) -> Fragment:
    if mount.source.startswith("~"):
        problem = f"{mount.source} is in somebody's home, and no node has that"
        raise context.error("volumes", problem, "write an absolute path that every node has")
    nodes = ", ".join(context.service.nodes)
    what = f"a swarm does not make {mount.source} where it is missing"
    note = context.note("volumes", what, f"it must be there on every node it may run on: {nodes}")
    body = _entry("bind", mount, templated(mount.source))
    return Fragment(body={"volumes": [body]}, notes=(note,))


def _volume(context: ServiceContext, mount: Mount) -> Fragment:
    if not mount.source:
        return Fragment(body={"volumes": [_entry("volume", mount, "")]})
    declared = context.file.document.get("volumes", {})
    name = f"{context.service.name}_{mount.source}"
    what = f"each node has a volume {mount.source} of its own, so a task that moves finds an empty one"
    instead = "keep it on one node (`droplets:` or a constraint), or keep the data in a managed database"
    return Fragment(
        body={"volumes": [_entry("volume", mount, name)]},
        volumes={name: _declared(context, mount.source, declared.get(mount.source, {}))},
        notes=(context.note("volumes", what, instead),),
    )


def _declared(context: ServiceContext, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A volume of the compose file. One that is external keeps its name."""
    if given.get("external"):
        return {"external": True, "name": given.get("name", name)}
    known = ("name", "driver", "driver_opts", "labels")
    unknown = [key for key in given if key not in known and not key.startswith("x-")]
    if unknown:
        problem = f"a stack's volume has no `{unknown[0]}` (volume `{name}`)"
        raise context.error("volumes", problem, f"take it out; it has {', '.join(known)}")
    own = {"name": context.file.own_name("volumes", name)}
    found = {**given, **own}
    return {key: found[key] for key in known if found.get(key) is not None}


def _entry(kind: str, mount: Mount, source: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": kind, "source": source, "target": templated(mount.target)}
    if not source:
        del entry["source"]
    if mount.read_only:
        entry["read_only"] = True
    if mount.options:
        entry[kind] = dict(mount.options)
    return entry


def _tmpfs(context: ServiceContext) -> Fragment:
    return join(_tmpfs_fragment(context, each) for each in context.body.get("tmpfs", ()))


def _tmpfs_fragment(context: ServiceContext, written: str) -> Fragment:
    """``/run`` or ``/run:size=64m,mode=1777``."""
    target, _, words = written.partition(":")
    options = dict(word.partition("=")[::2] for word in words.split(",") if word)
    size = {"size": _bytes(context, options.pop("size"))} if "size" in options else {}
    fragment = _memory(target, size)
    if not options:
        return fragment
    what = f"{', '.join(options)} of {target} has no place in a stack"
    return join([fragment, Fragment(notes=(context.note("tmpfs", what, "only its size is kept"),))])


def _shm(context: ServiceContext) -> Fragment:
    if "shm_size" not in context.body:
        return Fragment()
    return _memory(SHM, {"size": int(context.body["shm_size"])})


def _bytes(context: ServiceContext, given: str) -> int:
    """A size such as ``64m``: the options of ``tmpfs`` are the kernel's, and Compose passes them on."""
    found = SIZE.fullmatch(given)
    if not found:
        raise context.error("tmpfs", f"not a size: `{given}`", "write one as `64m`")
    return int(found[1]) << 10 * " kmg".index(found[2].lower() or " ")


def _memory(target: str, size: dict[str, int]) -> Fragment:
    entry: dict[str, Any] = {"type": "tmpfs", "target": target}
    if size:
        entry["tmpfs"] = size
    return Fragment(body={"volumes": [entry]})

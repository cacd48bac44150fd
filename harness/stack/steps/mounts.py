"""What a container mounts: files of yours as configs or secrets, volumes, paths of the node, memory.

There is no directory of yours on a swarm's nodes, so what was mounted from one is brought file by file.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.stack import values
from harness.stack.files import file_mode, read_file
from harness.stack.model import Note
from harness.stack.objects import file_part
from harness.stack.service import Job, Part, join
from harness.stack.steps.program import templated

SHM = "/dev/shm"  # noqa: S108 (it is the container's)
PROPAGATIONS = ("shared", "slave", "private", "rshared", "rslave", "rprivate")
KINDS = ("volume", "bind", "tmpfs")
KEYS = ("type", "source", "target", "read_only", "consistency", *KINDS)
# Of the sections that a long mount may have, what a stack of version 3.8 takes.
SUBKEYS = {"bind": ("propagation",), "volume": ("nocopy",), "tmpfs": ("size",)}
NOT_SHOWN = ("Dockerfile", ".dockerignore", ".env.example", ".git")
TOLD = 5  # names in a note


@dataclass(frozen=True)
class Mount:
    """One mount. ``options`` is the section of its kind; ``left`` are remarks that no stack can carry."""

    kind: str
    source: str
    target: str
    read_only: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    @property
    def is_mine(self) -> bool:
        """Whether it is a path beside the compose file."""
        return self.kind == "bind" and not self.source.startswith(("/", "~"))


def mounts(job: Job) -> Part:
    """``volumes``, ``tmpfs`` and ``shm_size``. Raises ``TopologyError`` for what no node would have."""
    given = [_read(job, item) for item in values.items(job, "volumes", job.body.get("volumes"))]
    return join([*(_mounted(job, each) for each in given), _tmpfs(job), _shm(job)])


def has_data(job: Job) -> bool:
    """Whether it writes to a volume, which two tasks on a node would do at once."""
    given = (_read(job, item) for item in values.items(job, "volumes", job.body.get("volumes")))
    return any(each.kind == "volume" and each.source and not each.read_only for each in given)


def _read(job: Job, item: Any) -> Mount:
    return _long(job, item) if isinstance(item, dict) else _short(job, values.text(job, "volumes", item))


def _short(job: Job, written: str) -> Mount:
    """``SOURCE:TARGET:options``, or ``TARGET`` alone."""
    parts = written.split(":")
    if len(parts) == 1:
        return Mount("volume", "", parts[0])
    if len(parts) > 3:
        raise job.error("volumes", f"not a mount: `{written}`", "write `source:target` or `source:target:ro`")
    source, target, *rest = parts
    kind = "bind" if source.startswith((".", "/", "~")) else "volume"
    words = rest[0].split(",") if rest else []
    options: dict[str, Any] = {}
    left = []
    for word in words:
        if word in PROPAGATIONS and kind == "bind":
            options["propagation"] = word
        elif word == "nocopy" and kind == "volume":
            options["nocopy"] = True
        elif word not in ("ro", "rw"):
            left.append(word)
    return Mount(kind, source, target, "ro" in words, options, tuple(left))


def _long(job: Job, item: dict[str, Any]) -> Mount:
    given = values.section(job, "volumes", item)
    kind = values.text(job, "volumes.type", given.get("type", "volume"))
    if kind not in KINDS:
        raise job.error("volumes.type", f"a stack has no mounts of type `{kind}`", f"take {', '.join(KINDS)}")
    unknown = [key for key in given if key not in KEYS]
    options = values.section(job, f"volumes.{kind}", given.get(kind))
    target = values.text(job, "volumes.target", given.get("target", ""))
    if not target:
        raise job.error("volumes", "a mount has no target", "say where in the container it is to be")
    return Mount(
        kind,
        values.text(job, "volumes.source", given.get("source", "")),
        target,
        values.truth(job, "volumes.read_only", given.get("read_only", False)),
        {key: value for key, value in options.items() if key in SUBKEYS[kind]},
        (*unknown, *(f"{kind}.{key}" for key in options if key not in SUBKEYS[kind])),
    )


def _mounted(job: Job, mount: Mount) -> Part:
    parts = [_left(job, mount)]
    if mount.is_mine:
        parts.append(_mine(job, mount))
    elif mount.kind == "bind":
        parts.append(_of_node(job, mount))
    elif mount.kind == "tmpfs":
        given = mount.options.get("size")
        size = {} if given is None else {"size": values.size(job, "volumes.tmpfs.size", given)}
        parts.append(_memory(mount.target, size))
    else:
        parts.append(_volume(job, mount))
    return join(parts)


def _left(job: Job, mount: Mount) -> Part:
    if not mount.left:
        return Part()
    what = f"{', '.join(mount.left)} of the mount at {mount.target} has no place in a stack"
    return Part(notes=(job.note("volumes", what, "it is left out"),))


def _mine(job: Job, mount: Mount) -> Part:
    path = posixpath.normpath(mount.source)
    if path == ".":
        return _own_directory(job, mount)
    content = read_file(job, path)
    if content is not None:
        mode = file_mode(job, path)
        part = file_part(job, "volumes", content, mount.target, label=posixpath.basename(path), mode=mode)
        return join([part, Part(notes=tuple(_written(job, mount)))])
    if (job.directory / path).is_dir():
        problem = f"{mount.source} is a directory, and no node of the swarm has it"
        remedy = "copy it into the image, or mount its files one by one"
    else:
        problem = f"there is no {job.directory / path}"
        remedy = "correct the path, or have the topology render it (`files:` of the swarm's service)"
    raise job.error("volumes", problem, remedy)


def _own_directory(job: Job, mount: Mount) -> Part:
    """The directory of the compose file: what the topology renders is where it would have been."""
    parts = [
        file_part(job, "volumes", text.encode(), posixpath.join(mount.target, name), label=name)
        for name, text in job.source.files.items()
    ]
    return join([*parts, Part(notes=(*_absent(job, mount), *_written(job, mount)))])


def _absent(job: Job, mount: Mount) -> Iterator[Note]:
    missing = sorted(path.name for path in _beside(job) if path.name not in job.source.files)
    if missing:
        more = f" and {len(missing) - TOLD} more" if len(missing) > TOLD else ""
        there = ", ".join(sorted(job.source.files)) or "nothing"
        what = f"no node has this directory: {', '.join(missing[:TOLD])}{more} will not be at {mount.target}"
        instead = f"there will be {there}; `files:` of the swarm's service adds what the program reads there"
        yield job.note("volumes", what, instead)


def _beside(job: Job) -> Iterator[Path]:
    """What lies beside the compose file, apart from what only building and deploying needs."""
    if not job.directory.is_dir():
        return
    for path in job.directory.iterdir():
        if path.name not in NOT_SHOWN and path != job.service.compose:
            yield path


def _written(job: Job, mount: Mount) -> Iterator[Note]:
    if not mount.read_only:
        what = f"what the program writes at {mount.target} does not come back to your directory"
        instead = "configs and secrets are read-only; say `:ro`, or use a volume"
        yield job.note("volumes", what, instead)


def _of_node(job: Job, mount: Mount) -> Part:
    if mount.source.startswith("~"):
        problem = f"{mount.source} is in somebody's home, and no node has that"
        raise job.error("volumes", problem, "write an absolute path that every node has")
    nodes = ", ".join(job.service.nodes)
    what = f"a swarm does not make {mount.source} where it is missing"
    note = job.note("volumes", what, f"it must be there on every node it may run on: {nodes}")
    body = _entry("bind", mount, templated(mount.source))
    return Part(body={"volumes": [body]}, notes=(note,))


def _volume(job: Job, mount: Mount) -> Part:
    if not mount.source:
        return Part(body={"volumes": [_entry("volume", mount, "")]})
    declared = values.section(job, "volumes", job.file.document.get("volumes"))
    if mount.source not in (job.file.document.get("volumes") or {}):
        remedy = "declare it under the file's own `volumes:`"
        raise job.error("volumes", f"there is no volume `{mount.source}`", remedy)
    name = f"{job.service.name}_{mount.source}"
    what = f"each node has a volume {mount.source} of its own, so a task that moves finds an empty one"
    instead = "keep it on one node (`droplets:` or a constraint), or keep the data in a managed database"
    return Part(
        body={"volumes": [_entry("volume", mount, name)]},
        volumes={name: _declared(job, mount.source, declared.get(mount.source))},
        notes=(job.note("volumes", what, instead),),
    )


def _declared(job: Job, name: str, given: Any) -> dict[str, Any]:
    """A volume of the compose file. One that is external keeps its name."""
    found = values.section(job, "volumes", given)
    external = found.get("external", False)
    if isinstance(external, dict):  # the old way of naming one
        return {"external": True, "name": external.get("name", name)}
    if values.truth(job, "volumes.external", external):
        return {"external": True, "name": found.get("name", name)}
    known = ("name", "driver", "driver_opts", "labels")
    unknown = [key for key in found if key not in (*known, "external") and not key.startswith("x-")]
    if unknown:
        problem = f"a stack's volume has no `{unknown[0]}` (volume `{name}`)"
        raise job.error("volumes", problem, f"take it out; it has {', '.join(known)}")
    return {key: found[key] for key in known if key in found}


def _entry(kind: str, mount: Mount, source: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": kind, "source": source, "target": templated(mount.target)}
    if not source:
        del entry["source"]
    if mount.read_only:
        entry["read_only"] = True
    if mount.options:
        entry[kind] = dict(mount.options)
    return entry


def _tmpfs(job: Job) -> Part:
    given = job.body.get("tmpfs", [])
    return join(_tmpfs_part(job, each) for each in values.texts(job, "tmpfs", given))


def _tmpfs_part(job: Job, written: str) -> Part:
    """``/run`` or ``/run:size=64m,mode=1777``."""
    target, _, words = written.partition(":")
    options = dict(word.partition("=")[::2] for word in words.split(",") if word)
    size = {"size": values.size(job, "tmpfs", options.pop("size"))} if "size" in options else {}
    part = _memory(target, size)
    if not options:
        return part
    what = f"{', '.join(options)} of {target} has no place in a stack"
    return join([part, Part(notes=(job.note("tmpfs", what, "only its size is kept"),))])


def _shm(job: Job) -> Part:
    if "shm_size" not in job.body:
        return Part()
    return _memory(SHM, {"size": values.size(job, "shm_size", job.body["shm_size"])})


def _memory(target: str, size: dict[str, int]) -> Part:
    entry: dict[str, Any] = {"type": "tmpfs", "target": target}
    if size:
        entry["tmpfs"] = size
    return Part(body={"volumes": [entry]})

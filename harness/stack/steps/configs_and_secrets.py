"""Configs and secrets that a compose file declares itself: read here, and named by their content."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.stack import taint, values
from harness.stack.files import read_file
from harness.stack.model import Note
from harness.stack.objects import file_part
from harness.stack.service import Job, Part, join

KINDS = ("configs", "secrets")
REFERENCE_KEYS = ("source", "target", "uid", "gid", "mode")
KEYS = ("file", "content", "environment", "external", "name", "labels")


def declared(job: Job) -> Part:
    """``configs`` and ``secrets`` of a service. Raises ``TopologyError`` for one without content."""
    return join(
        _one(job, kind, item) for kind in KINDS for item in values.items(job, kind, job.body.get(kind))
    )


def _one(job: Job, kind: str, item: Any) -> Part:
    reference = _reference(job, kind, item)
    name = reference.pop("source")
    found = job.file.document.get(kind) or {}
    if name not in found:
        raise job.error(kind, f"there is no `{name}`", f"declare it under the file's own `{kind}:`")
    given = values.section(job, kind, found[name])
    reference.setdefault("target", name if kind == "secrets" else f"/{name}")
    if given.get("external"):
        return _external(kind, _outer_name(name, given), reference)
    for key in given:
        if key not in KEYS and not key.startswith("x-"):
            raise job.error(kind, f"`{name}` has a key `{key}`", f"take it out; there are {', '.join(KEYS)}")
    made = _made(job, kind, name, given, reference)
    return join([made, Part(notes=_renamed(job, kind, name, given))])


def _reference(job: Job, kind: str, item: Any) -> dict[str, Any]:
    if isinstance(item, str):
        return {"source": item}
    given = values.section(job, kind, item)
    unknown = [key for key in given if key not in REFERENCE_KEYS]
    if unknown or "source" not in given:
        problem = f"no such key: {unknown[0]}" if unknown else "it has no source"
        raise job.error(kind, problem, f"take {', '.join(REFERENCE_KEYS)}")
    texts = {key: values.text(job, f"{kind}.{key}", given[key]) for key in given if key != "mode"}
    return texts | ({"mode": _mode(job, kind, given["mode"])} if "mode" in given else {})


def _mode(job: Job, kind: str, given: Any) -> int:
    """A file mode: a number, or text that means octal."""
    if isinstance(given, str):
        try:
            return int(given, 8)
        except ValueError:
            raise job.error(f"{kind}.mode", f"not a file mode: `{given}`", "write one as 0440") from None
    return values.whole(job, f"{kind}.mode", given)


def _external(kind: str, name: str, reference: dict[str, Any]) -> Part:
    body: dict[str, Any] = {kind: [{"source": name, **reference}]}
    there: dict[str, bytes | None] = {name: None}
    return Part(body=body, configs=there) if kind == "configs" else Part(body=body, secrets=there)


def _outer_name(name: str, given: dict[str, Any]) -> str:
    external = given["external"]
    return str(external.get("name", name) if isinstance(external, dict) else given.get("name", name))


def _made(job: Job, kind: str, name: str, given: dict[str, Any], reference: dict[str, Any]) -> Part:
    content = _content(job, kind, name, given)
    hidden = kind == "secrets" or taint.is_secret(content.decode(errors="replace"))
    bare = taint.bare(content.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    target = reference.pop("target")
    part = file_part(job, kind, bare, target, label=name, hidden=hidden)
    ours = next(iter(part.body))
    return replace(part, body={ours: [{**part.body[ours][0], **reference}]})


def _content(job: Job, kind: str, name: str, given: dict[str, Any]) -> bytes:
    if "content" in given:
        return values.text(job, kind, given["content"]).encode()
    if "environment" in given:
        variable = values.text(job, kind, given["environment"])
        if variable in job.file.environment:
            return job.file.environment[variable].encode()
        problem = f"`{name}` is the value of {variable}, which is not set"
        raise job.error(kind, problem, "add it to the swarm's service as `environment:`")
    path = values.text(job, kind, given.get("file", ""))
    content = read_file(job, path) if path else None
    if content is None:
        where = f"is {job.directory / path}, and that is not there" if path else "has no file"
        problem = f"`{name}` {where}"
        raise job.error(kind, problem, "correct the path, or declare it `external: true`")
    return content


def _renamed(job: Job, kind: str, name: str, given: dict[str, Any]) -> tuple[Note, ...]:
    lost = [key for key in ("name", "labels") if key in given]
    if not lost:
        return ()
    what = f"{' and '.join(lost)} of `{name}` cannot be kept"
    return (job.note(kind, what, "its name says what is in it, so that it can be replaced"),)

"""Configs and secrets that a compose file declares: read on this machine, and named by their content."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.stack import taint, values
from harness.stack.files import read_file
from harness.stack.model import Note
from harness.stack.objects import file_fragment
from harness.stack.service import Fragment, ServiceContext, join

KINDS = ("configs", "secrets")
REFERENCE_KEYS = ("source", "target", "uid", "gid", "mode")
KEYS = ("file", "content", "environment", "external", "name", "labels")


def configs_and_secrets(context: ServiceContext) -> Fragment:
    """``configs`` and ``secrets`` of a service. Raises ``TopologyError`` for one without content."""
    return join(
        _one(context, kind, item)
        for kind in KINDS
        for item in values.items(context, kind, context.body.get(kind))
    )


def _one(context: ServiceContext, kind: str, item: Any) -> Fragment:
    reference = _reference(context, kind, item)
    name = reference.pop("source")
    found = context.file.document.get(kind) or {}
    if name not in found:
        raise context.error(kind, f"there is no `{name}`", f"declare it under the file's own `{kind}:`")
    given = values.section(context, kind, found[name])
    reference.setdefault("target", name if kind == "secrets" else f"/{name}")
    if given.get("external"):
        return _external(kind, _outer_name(name, given), reference)
    for key in given:
        if key not in KEYS and not key.startswith("x-"):
            raise context.error(
                kind, f"`{name}` has a key `{key}`", f"take it out; there are {', '.join(KEYS)}"
            )
    made = _made(context, kind, name, given, reference)
    return join([made, Fragment(notes=_renamed(context, kind, name, given))])


def _reference(context: ServiceContext, kind: str, item: Any) -> dict[str, Any]:
    if isinstance(item, str):
        return {"source": item}
    given = values.section(context, kind, item)
    unknown = [key for key in given if key not in REFERENCE_KEYS]
    if unknown or "source" not in given:
        problem = f"no such key: {unknown[0]}" if unknown else "it has no source"
        raise context.error(kind, problem, f"take {', '.join(REFERENCE_KEYS)}")
    texts = {key: values.string(context, f"{kind}.{key}", given[key]) for key in given if key != "mode"}
    return texts | ({"mode": _mode(context, kind, given["mode"])} if "mode" in given else {})


def _mode(context: ServiceContext, kind: str, given: Any) -> int:
    """A file mode: a number, or text that means octal."""
    if isinstance(given, str):
        try:
            return int(given, 8)
        except ValueError:
            raise context.error(f"{kind}.mode", f"not a file mode: `{given}`", "write one as 0440") from None
    return values.integer(context, f"{kind}.mode", given)


def _external(kind: str, name: str, reference: dict[str, Any]) -> Fragment:
    body: dict[str, Any] = {kind: [{"source": name, **reference}]}
    there: dict[str, bytes | None] = {name: None}
    return Fragment(body=body, configs=there) if kind == "configs" else Fragment(body=body, secrets=there)


def _outer_name(name: str, given: dict[str, Any]) -> str:
    external = given["external"]
    return str(external.get("name", name) if isinstance(external, dict) else given.get("name", name))


def _made(
    context: ServiceContext, kind: str, name: str, given: dict[str, Any], reference: dict[str, Any]
) -> Fragment:
    content = _content(context, kind, name, given)
    hidden = kind == "secrets" or taint.is_secret(content.decode(errors="replace"))
    plain = taint.untainted(content.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    target = reference.pop("target")
    fragment = file_fragment(context, kind, plain, target, label=name, hidden=hidden)
    ours = next(iter(fragment.body))
    return replace(fragment, body={ours: [{**fragment.body[ours][0], **reference}]})


def _content(context: ServiceContext, kind: str, name: str, given: dict[str, Any]) -> bytes:
    if "content" in given:
        return values.string(context, kind, given["content"]).encode()
    if "environment" in given:
        variable = values.string(context, kind, given["environment"])
        if variable in context.file.environment:
            return context.file.environment[variable].encode()
        problem = f"`{name}` is the value of {variable}, which is not set"
        raise context.error(kind, problem, "add it to the swarm's service as `environment:`")
    path = values.string(context, kind, given.get("file", ""))
    content = read_file(context, path) if path else None
    if content is None:
        where = f"is {context.directory / path}, and that is not there" if path else "has no file"
        problem = f"`{name}` {where}"
        raise context.error(kind, problem, "correct the path, or declare it `external: true`")
    return content


def _renamed(context: ServiceContext, kind: str, name: str, given: dict[str, Any]) -> tuple[Note, ...]:
    lost = [key for key in ("name", "labels") if key in given]
    if not lost:
        return ()
    what = f"{' and '.join(lost)} of `{name}` cannot be kept"
    return (context.note(kind, what, "its name says what is in it, so that it can be replaced"),)

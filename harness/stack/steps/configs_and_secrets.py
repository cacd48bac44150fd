"""Configs and secrets that a compose file declares: read on this machine, and named by their content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.stack import taint
from harness.stack.files import read_file
from harness.stack.model import Note
from harness.stack.objects import file_fragment
from harness.stack.service import Fragment, ServiceContext, join

KINDS = ("configs", "secrets")
SECRETS = "/run/secrets/"
REFERENCE_KEYS = ("source", "target", "uid", "gid", "mode")
KEYS = ("file", "content", "environment", "external", "name", "labels")


def configs_and_secrets(context: ServiceContext) -> Fragment:
    """``configs`` and ``secrets`` of a service. Raises ``TopologyError`` for one without content."""
    return join(_one(context, kind, item) for kind in KINDS for item in context.body.get(kind, ()))


def _one(context: ServiceContext, kind: str, item: Mapping[str, Any]) -> Fragment:
    reference = {key: item[key] for key in REFERENCE_KEYS if key in item}
    name = reference.pop("source")
    given = context.file.document[kind][name]
    target = reference.get("target", name if kind == "secrets" else f"/{name}")
    reference["target"] = target.removeprefix(SECRETS) if kind == "secrets" else target
    if given.get("external"):
        return _external(kind, given.get("name", name), reference)
    for key in given:
        if key not in KEYS and not key.startswith("x-"):
            raise context.error(
                kind, f"`{name}` has a key `{key}`", f"take it out; there are {', '.join(KEYS)}"
            )
    made = _made(context, kind, name, given, reference)
    return join([made, Fragment(notes=_renamed(context, kind, name, given))])


def _external(kind: str, name: str, reference: dict[str, Any]) -> Fragment:
    body: dict[str, Any] = {kind: [{"source": name, **reference}]}
    there: dict[str, bytes | None] = {name: None}
    return Fragment(body=body, configs=there) if kind == "configs" else Fragment(body=body, secrets=there)


def _made(
    context: ServiceContext, kind: str, name: str, given: Mapping[str, Any], reference: dict[str, Any]
) -> Fragment:
    content = _content(context, kind, name, given)
    hidden = kind == "secrets" or taint.is_secret(content.decode(errors="replace"))
    plain = taint.untainted(content.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    target = reference.pop("target")
    fragment = file_fragment(context, kind, plain, target, label=name, hidden=hidden)
    ours = next(iter(fragment.body))
    return replace(fragment, body={ours: [{**fragment.body[ours][0], **reference}]})


def _content(context: ServiceContext, kind: str, name: str, given: Mapping[str, Any]) -> bytes:
    if "content" in given:
        return str(given["content"]).encode()
    if "environment" in given:
        variable = given["environment"]
        if variable in context.file.environment:
            return context.file.environment[variable].encode()
        problem = f"`{name}` is the value of {variable}, which is not set"
        raise context.error(kind, problem, "add it to the swarm's service as `environment:`")
    path = given.get("file", "")
    content = read_file(context, path) if path else None
    if content is None:
        where = f"is {context.directory / path}, and that is not there" if path else "has no file"
        problem = f"`{name}` {where}"
        raise context.error(kind, problem, "correct the path, or declare it `external: true`")
    return content


def _renamed(context: ServiceContext, kind: str, name: str, given: Mapping[str, Any]) -> tuple[Note, ...]:
    lost = ["name"] if context.file.own_name(kind, name) else []
    lost += ["labels"] if given.get("labels") else []
    if not lost:
        return ()
    what = f"{' and '.join(lost)} of `{name}` cannot be kept"
    return (context.note(kind, what, "its name says what is in it, so that it can be replaced"),)

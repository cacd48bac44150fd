"""Configs and secrets of a swarm: small files that reach a task wherever it runs.

A swarm cannot change a config or a secret, so the name carries a hash of the content: new content, new name.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from harness.stack.secrecy import holds_secret
from harness.stack.service import Fragment, ServiceContext

LIMIT = 500 * 1024
READABLE = 0o444
LONGEST_NAME = 64
HASH_DIGITS = 12


def file_fragment(
    context: ServiceContext,
    key: str,
    content: bytes,
    target: str,
    *,
    label: str,
    mode: int = READABLE,
    hidden: bool = False,
) -> Fragment:
    """Content as a file at ``target``: a config, or a secret where it is secret.

    ``label`` becomes part of its name, ``key`` is where the compose file asks for it. Raises
    ``TopologyError`` for content that is empty or too large.
    """
    _check_size(context, key, content, label)
    name = object_name(context.stack, context.title, label, content)
    hidden = hidden or holds_secret(content, context.forms)
    reference: dict[str, Any] = {"source": name, "target": target}
    if mode != READABLE:
        reference["mode"] = mode
    if hidden:
        return Fragment(body={"secrets": [reference]}, secrets={name: content})
    return Fragment(body={"configs": [reference]}, configs={name: content})


def object_name(stack: str, service: str, label: str, content: bytes) -> str:
    """``STACK_SERVICE-LABEL-HASH``, no longer than Docker allows; what is cut off counts in the hash."""
    name = f"{stack}_{service}-{_word(label)}"
    longest = LONGEST_NAME - HASH_DIGITS - 1
    hashed = content if len(name) <= longest else name.encode() + b"\0" + content
    return f"{name[:longest].rstrip('-_.')}-{hashlib.sha256(hashed).hexdigest()[:HASH_DIGITS]}"


def _word(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", label).strip("-_.") or "file"


def _check_size(context: ServiceContext, key: str, content: bytes, label: str) -> None:
    if not content:
        problem = f"{label} is empty, and a swarm takes no empty config or secret"
        raise context.error(key, problem, "put something into it, if only a line's end, or do not mount it")
    if len(content) >= LIMIT:
        problem = f"{label} has {len(content) / 1024:.0f} kB, and a swarm's configs and secrets hold 500 kB"
        raise context.error(key, problem, "copy it into the image, or have the program fetch it")

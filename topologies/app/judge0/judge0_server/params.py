"""From a request to its parameters and to a submission's attributes, the way Rails and Judge0 read them."""

import base64
import json
import re
from collections.abc import Mapping

from judge0_server import forms

# A submission's attributes: Judge0 takes these and drops all others.
TEXTS = ("source_code", "stdin", "expected_output")
PERMITTED = (
    *TEXTS,
    "language_id",
    "number_of_runs",
    "cpu_time_limit",
    "cpu_extra_time",
    "wall_time_limit",
    "memory_limit",
    "stack_limit",
    "max_processes_and_or_threads",
    "enable_per_process_and_thread_time_limit",
    "enable_per_process_and_thread_memory_limit",
    "max_file_size",
    "compiler_options",
    "command_line_arguments",
    "redirect_stderr_to_stdout",
    "callback_url",
    "additional_files",
    "enable_network",
)

# Digits of a number, at most: more are no page and no id, and Python does not take as many as it is sent.
_LONGEST = 30
_WHOLE = re.compile(r"\s*([-+]?[0-9]+)")

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


class MalformedError(Exception):
    """The body is not what its content type says, or the query is none."""


def merged(kind: str, raw: bytes, query: str) -> dict[str, object]:
    """A request's parameters: the body's, and the query's, which win. Raises MalformedError."""
    body = parse_body(kind, raw)
    if not query:
        return body
    try:
        return body | forms.query(query)
    except ValueError as error:
        raise MalformedError(str(error)) from error


def parse_body(kind: str, raw: bytes) -> dict[str, object]:
    """The body's top level; an array, or a type that is neither JSON nor a form, has no attributes."""
    if not raw:
        return {}
    try:
        if "json" in kind.lower():
            body = json.loads(raw, parse_constant=_no_number)
            return body if isinstance(body, dict) else {}
        if kind.lower().startswith("application/x-www-form-urlencoded"):
            return forms.form(raw)
        if kind.lower().startswith("multipart/form-data"):
            return forms.multipart(kind, raw)
    except (ValueError, RecursionError) as error:
        raise MalformedError(str(error)) from error
    return {}


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def whole(value: object, default: int = 0) -> int:
    """Ruby's to_i: the number that a text begins with, 0 where it begins with none; `default` for None."""
    if value is None:
        return default
    found = _WHOLE.match(str(value))
    return int(found[1][:_LONGEST]) if found else 0


def decode64(text: bytes) -> bytes:
    """Base64 read leniently: what is no letter of it is skipped, and the end need not be padded."""
    clean = _NOT_BASE64.sub(b"", text.partition(b"=")[0])
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    return base64.b64decode(clean + b"=" * (-len(clean) % 4))


def text(value: object) -> str | None:
    """A scalar as the text that a text column would hold; None for anything else."""
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) else None


def column(value: object) -> str | None:
    """As `text`; raises MalformedError for what no text column holds."""
    found = text(value)
    if found is not None and ("\0" in found or any("\ud800" <= letter <= "\udfff" for letter in found)):
        raise MalformedError("a text with a character that is none")
    return found


def attributes(body: Mapping[str, object], *, encoded: bool) -> dict[str, object]:
    """The permitted scalars of `body`; texts as bytes, decoded where the request says they are Base64."""
    taken: dict[str, object] = {}
    for name in PERMITTED:
        value = body.get(name)
        if value is None or isinstance(value, dict | list):
            continue
        if name in TEXTS:
            raw = (text(value) or "").encode("utf-8", "surrogatepass")
            taken[name] = decode64(raw) if encoded else raw
        elif name == "additional_files":
            taken[name] = decode64((text(value) or "").encode("utf-8", "replace"))
        else:
            taken[name] = value
    return taken

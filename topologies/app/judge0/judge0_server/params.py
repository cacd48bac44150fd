"""From a request's body to the attributes of a submission, the way Rails and Judge0 read them."""

import base64
import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

# A body's attributes: Judge0 takes these and drops all others.
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

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"]*)"', re.IGNORECASE)
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


class MalformedError(Exception):
    """The body is not what its content type says."""


async def read_body(request: Request) -> dict[str, object]:
    """Raises MalformedError."""
    return parse_body(request.headers.get("content-type", ""), await request.body())


def parse_body(kind: str, raw: bytes) -> dict[str, object]:
    """The body's top level; an array, or a type that is neither JSON nor a form, has no attributes."""
    if not raw:
        return {}
    try:
        if "json" in kind.lower():
            body = json.loads(raw)
            return body if isinstance(body, dict) else {}
        if kind.lower().startswith("application/x-www-form-urlencoded"):
            return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))
        if kind.lower().startswith("multipart/form-data"):
            return dict(multipart(kind, raw))
    except (ValueError, RecursionError) as error:
        raise MalformedError(str(error)) from error
    return {}


def multipart(kind: str, raw: bytes) -> dict[str, str]:
    """A multipart form's fields; raises ValueError where there is no boundary."""
    found = _BOUNDARY.search(kind)
    if not found:
        raise ValueError("multipart body without a boundary")
    fields = {}
    for part in raw.split(b"--" + found[1].encode("latin-1"))[1:]:
        head, separator, value = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if separator and name:
            fields[name[1].decode("utf-8", "replace")] = value.removesuffix(b"\r\n").decode(
                "utf-8", "replace"
            )
    return fields


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

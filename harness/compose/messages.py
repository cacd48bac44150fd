"""Compose's own error messages as errors of ours: the file, the place in it, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from harness.compose.sources import nodes
from harness.core import yaml
from harness.core.errors import TopologyError

PLACE = re.compile(r"\b(?:services|networks|volumes|configs|secrets|include)[.\[][\w.\[\]-]*\w\]?")
EXTRA = re.compile(r"(?P<place>\S+) Additional property (?P<key>\S+) is not allowed")
TOP = re.compile(r"\(root\) Additional property (?P<key>\S+) is not allowed")
UNDEFINED = re.compile(r'service "(?P<service>[^"]+)" refers to undefined (?P<kind>\w+) (?P<name>.*?):')
DEPENDS = re.compile(r'service "(?P<service>[^"]+)" depends on undefined service "?(?P<name>[^":]+)"?')
EXTENDS = re.compile(r'cannot extend service "(?P<service>[^"]+)"')
NO_FILE = re.compile(r"(?:(?:env|label) file (?P<env>.+?) not found|open (?P<open>.+?): no such file)")
UNSET = re.compile(r"required variable (?P<name>\S+) is missing a value")
LINE = re.compile(r"yaml: (?:.*)line (?P<line>\d+)")
SERVICE = re.compile(r'service "(?P<service>[^"]+)"')
VALUE = re.compile(r"""(?:[:=] ?|["'`])(?P<value>[^"'`\s]+)["'`]?$""")
NOISE = re.compile(
    r"decoding failed due to the following error\(s\):\s*|: invalid compose project$|^validating [^:]*: "
)
SSH_KEY = "types.SSHKey"
ITEM = re.compile(r"\.?\[?\b\d+\]?$")
NUMBERS = re.compile(r"[\w.-]*\d[\w.-]*")
WRONG = "correct the value: `docker compose config` says the same of it"
MOST = 2000


def translate(output: str, text: str, file: Path) -> TopologyError:
    """The error that Compose reported in ``output`` about the compose file ``text``, which lies at ``file``.

    Paths in ``output`` are the user's already.
    """
    said = "\n".join(line for line in output.splitlines() if not line.startswith("time=")).strip()
    said = said[-MOST:] or "Docker Compose does not take it, and does not say why"
    field, remedy = next(_described(said), ("", WRONG))
    found = re.search(r"^validating (?P<file>[^:]+): ", said)
    where = Path(found["file"]) if found else file
    line = LINE.search(said)
    number = int(line["line"]) if line else None
    if not field and number is None and where == file:
        field, number = _located(said, text, file)
    missing = NO_FILE.search(said)
    problem = f"there is no {missing['env'] or missing['open']}" if missing else NOISE.sub("", said)
    problem = re.sub(r"\s+", " ", problem).strip()
    problem = problem.removeprefix(f"{field}: ").removeprefix(f"{field} ")
    return TopologyError(problem, file=where, line=number, field=field, remedy=remedy)


def _described(said: str) -> Iterator[tuple[str, str]]:
    """The place and the remedy, the most telling form of the message first."""
    if SSH_KEY in said:  # Compose up to 2.26 cannot write them as JSON
        yield "build.ssh", "name `default` alone, which is your ssh agent, or install a newer Compose plugin"
    if found := UNSET.search(said):
        yield _place(said), f"add {found['name']} to the service's environment, or to the application's .env"
    if found := TOP.search(said):
        yield found["key"], "take it out, or correct its spelling"
    if found := EXTRA.search(said):
        yield f"{_shortened(found['place'])}.{found['key']}", "take it out, or correct its spelling"
    if found := UNDEFINED.search(said):
        kind = f"{found['kind']}s"
        remedy = f"declare it under the file's own `{kind}:`"
        yield f"services.{found['service']}.{kind}", remedy
    if found := EXTENDS.search(said):
        yield f"services.{found['service']}.extends", "correct the name, or the path of `file:`"
    if NO_FILE.search(said):
        yield "", "correct the path, or add the file"
    if _place(said):
        yield _place(said), WRONG


def _place(said: str) -> str:
    found = PLACE.search(said)
    return _shortened(found[0].replace("services[", "services.").replace("].", ".")) if found else ""


def _shortened(place: str) -> str:
    """Without the number of an item, which is not what users count by."""
    return ITEM.sub("", place).removesuffix(".")


def _located(said: str, text: str, file: Path) -> tuple[str, int | None]:
    """Where the value that the message ends with, or a path in it, stands in the file."""
    service = SERVICE.search(said)
    begin = f"services.{service['service']}." if service else ""
    missing, depends, value = NO_FILE.search(said), DEPENDS.search(said), VALUE.search(said)
    wanted = [Path(each).name for each in (missing.groups() if missing else ()) if each]
    wanted += [depends["name"]] if depends else []
    wanted += [value["value"]] if value else NUMBERS.findall(said)
    places = [
        (path, node) for path, node in nodes(yaml.parse(text, file).compose()) if path.startswith(begin)
    ]
    for each in wanted:
        for path, node in places:
            if each in str(node.value):
                return path, node.start_mark.line + 1
    key = said.split(" ", 1)[0]
    for path, node in places:
        if "." in key and path.endswith(f".{key}"):
            return path, node.start_mark.line + 1
    return begin.removesuffix("."), None

"""An application's own nginx configuration with the private addresses of droplets in its upstreams.

The file in the repository stays as it is: a changed copy is what a droplet gets. All but the servers that are
replaced stays byte for byte, which is proved by reading the result.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.compose import ComposeProject
from harness.compose.model import inside
from harness.core import nginx
from harness.core.documents import read_text
from harness.core.errors import TopologyError
from harness.topology.model import Service, Topology
from harness.topology.rendering import changes
from harness.topology.rendering.changes import Place
from harness.topology.source import did_you_mean

Addresses = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Changed:
    """A file of the application, relative to the compose file, as it is and as some droplets get it."""

    service: str
    nodes: tuple[str, ...]
    name: str
    before: str
    after: str

    @property
    def diff(self) -> str:
        """A unified diff."""
        where = f"{self.name} on {', '.join(self.nodes)}"
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True), self.after.splitlines(keepends=True), self.name, where
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def render(place: Place, project: ComposeProject) -> dict[str, str]:
    """The files that ``upstreams`` names, by name, with their servers replaced.

    Only those that change, and that something mounts which runs on the droplet; ``project`` says what that
    is. Raises ``TopologyError``.
    """
    found = {}
    for name, targets in place.service.changes.upstreams.items():
        text = _text(place, name)
        addresses = _addresses(place, name, text, targets)
        if addresses and is_mounted(project, name):
            found[name] = replaced(text, addresses, _file(place, name))
    return found


def is_mounted(project: ComposeProject, name: str) -> bool:
    """Whether something that runs mounts the file, or a directory around it."""
    paths = [inside(each) for each in project.paths()]
    return any(path in (name, ".") or name.startswith(f"{path}/") for path in paths if path)


def check_mounted(topology: Topology, service: Service, project: ComposeProject) -> None:
    """Raise ``TopologyError`` for a file that no container would see; ``project`` is what runs anywhere."""
    for name in service.changes.upstreams:
        if not is_mounted(project, name):
            at = f"services.{service.name}.upstreams.{name}"
            problem = f"nothing that runs mounts {name}, so its copy would not be used"
            remedy = "mount it, with `volumes:` in the compose file or in `override`; or use `hosts`"
            raise TopologyError(problem, file=topology.file, field=at, remedy=remedy)


def replaced(text: str, addresses: Addresses, file: Path) -> str:
    """``text`` with a server for each address in place of one that is named, port and parameters kept."""
    before = _parsed(text, file)
    position, parts = 0, []
    starts = _line_starts(text)
    for server in _servers(before):
        host = _host(server)
        if host not in addresses:
            continue
        pattern = re.compile(rf"""server\s+["']?(?P<host>{re.escape(host)})""")
        match = pattern.search(text, max(position, starts[server["line"] - 1]))
        end = text.find(";", match.end()) + 1 if match else 0
        if match is None or not end:
            raise _unclear(file, server)
        parts.append(text[position : match.start()])
        parts.append(_statements(text, match, end, addresses[host]))
        position = end
    result = "".join([*parts, text[position:]])
    if _shape(_parsed(result, file), {}) != _shape(before, addresses):
        raise _unclear(file, next(_servers(before)))
    return result


def _statements(text: str, match: re.Match[str], end: int, addresses: Sequence[str]) -> str:
    """The directive for each address, each on a line like the first one's."""
    head = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
    between = f"\n{head}" if not head.strip() else " "
    begin, rest = text[match.start() : match.start("host")], text[match.end("host") : end]
    return between.join(f"{begin}{address}{rest}" for address in addresses)


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _servers(directives: Sequence[nginx.Directive]) -> Iterator[nginx.Directive]:
    """The ``server`` directives of all upstreams, in their order."""
    for each in nginx.walk(directives):
        if each["directive"] == "upstream":
            yield from (inner for inner in each.get("block") or () if _is_server(inner))


def _is_server(directive: nginx.Directive) -> bool:
    return directive["directive"] == "server" and bool(directive["args"])


def _host(server: nginx.Directive) -> str:
    """The name of ``NAME[:PORT]``; "" of an address in brackets and of a socket."""
    written = str(server["args"][0])
    return "" if written.startswith(("[", "unix:")) else written.partition(":")[0]


def _shape(directives: Sequence[nginx.Directive], addresses: Addresses, *, upstream: bool = False) -> Any:
    """All that a configuration says, without its lines, with the servers replaced."""
    found: list[Any] = []
    for each in directives:
        name, args = each["directive"], list(each["args"])
        block = each.get("block")
        inner = None if block is None else _shape(block, addresses, upstream=name == "upstream")
        host = _host(each) if upstream and _is_server(each) else ""
        for address in addresses.get(host, [host]):
            first = [f"{address}{args[0][len(host) :]}", *args[1:]] if host else args
            found.append((name, first, inner))
    return found


def _addresses(place: Place, name: str, text: str, targets: Mapping[str, Sequence[str]]) -> Addresses:
    """The addresses for the names in a file: those that the topology says, or those of ``run``."""
    file = _file(place, name)
    known = {_host(each) for each in _servers(_parsed(text, file))} - {""}
    for target in targets:
        if target not in known:
            problem = f"no `server` of an upstream in {file} is {target!r}"
            raise place.error(f"upstreams.{name}.{target}", problem, did_you_mean(target, known))
    if not targets and not known & changes.names_elsewhere(place):
        problem = f"no `server` of an upstream in {file} is a service that `run` puts on another droplet"
        example = next(iter(sorted(known)), "NAME")
        remedy = f"say where each is: `upstreams: {{{name}: {{{example}: DROPLET}}}}`"
        raise place.error(f"upstreams.{name}", problem, remedy)
    nodes = place.context["nodes"]
    there = targets or changes.hosts(place)
    return {each: [nodes[node].private_ip for node in there[each]] for each in there if each in known}


def _text(place: Place, name: str) -> str:
    file = _file(place, name)
    if not file.is_file():
        beside = [each.relative_to(file.parent).as_posix() for each in file.parent.glob("*.conf")]
        raise place.error(f"upstreams.{name}", f"there is no {file}", did_you_mean(file.name, beside))
    return read_text(file)


def _file(place: Place, name: str) -> Path:
    return place.project.directory / name


def _parsed(text: str, file: Path) -> list[nginx.Directive]:
    try:
        return nginx.parse(text)
    except nginx.NginxSyntaxError as error:
        problem, remedy = f"nginx cannot read it: {error}", "correct it: `nginx -t` says the same of it"
        raise TopologyError(problem, file=file, line=error.line, remedy=remedy) from error


def _unclear(file: Path, server: nginx.Directive) -> TopologyError:
    problem = "its servers cannot be replaced without changing something else"
    remedy = "write each `server` of an upstream on a line of its own, or use `hosts`"
    return TopologyError(problem, file=file, line=server["line"], remedy=remedy)

"""Rendering a service's files: for one node (compose file without networks, ``.env``, templates, CA
certificates), or for a swarm's stack, whose tasks run on any of several nodes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import jinja2

from harness.compose.reader import read_variables
from harness.core.documents import BYTE_ORDER_MARK, read_text
from harness.core.errors import TopologyError
from harness.topology.deployment import Deployment, Node
from harness.topology.model import Service, StackService, TemplateFile, Topology
from harness.topology.rendering import dotenv
from harness.topology.rendering.bounded import Bounded
from harness.topology.rendering.compose import strip_networks

COMPOSE = "docker-compose.yml"
ENV = ".env"
USERS_ENV = (".env", ".env.example")
LOCATIONS = (
    "nodes.NAME, role('ROLE'), databases.NAME, secrets.NAME and node are known; docs/topology.md has the list"
)
NO_NODE = (
    "'node' means nothing in a swarm's service, whose tasks may run on any of its droplets: name one in nodes"
)

Context = Mapping[str, Any]
_OWN = threading.local()


@dataclass(frozen=True)
class RenderedStack:
    """The rendered files of one service of a stack.

    ``text`` is its compose file as written. ``environment`` is what ``.env`` would say: the application's own
    ``.env`` (or ``.env.example``), with the topology's values in place. ``files`` are the rendered templates
    by their targets, and ``NAME-ca.pem`` for each database that trusts one of the service's droplets.
    ``more`` are the compose files that are merged into the first one, by their paths relative to it.
    """

    text: str
    environment: Mapping[str, str] = field(repr=False)
    files: Mapping[str, str] = field(repr=False)
    more: tuple[str, ...] = ()


class ExpressionError(ValueError):
    """A jinja2 expression cannot be rendered. ``line`` is the line within the template, if known."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(problem)


def render_service(
    topology: Topology, deployment: Deployment, service: Service, node_name: str
) -> dict[str, str]:
    """File name (relative to the service's directory on the node) to content.

    Raises ``TopologyError`` for a compose file, template or expression that cannot be used.
    """
    context = make_context(topology, deployment, node_name)
    return {
        COMPOSE: render_compose(service),
        ENV: render_env(topology, service, context),
        **{each.target: render_template(each, context) for each in service.files},
        **certificates(topology, deployment, node_name),
    }


def render_stack_service(topology: Topology, deployment: Deployment, service: StackService) -> RenderedStack:
    """The compose file, environment and files of a service whose tasks run on any of its droplets.

    Raises ``TopologyError`` for a compose file, template or expression that cannot be used; ``node`` in an
    expression is one, for there is no single droplet that it could mean.
    """
    context = make_context(topology, deployment, None)
    place = f"swarm.services.{service.name}"
    values = _evaluated(topology, service, place, context)
    return RenderedStack(
        text=_read(service.compose),
        environment=environment_of(service, dict(values)),
        files={
            **{each.target: render_template(each, context) for each in service.files},
            **certificates(topology, deployment, *service.nodes),
        },
    )


def make_context(topology: Topology, deployment: Deployment, node_name: str | None) -> Context:
    """The names an expression may use; ``node_name`` None: ``node`` is none of them."""

    def role(name: str) -> list[Node]:
        members = [each.name for each in topology.droplets.values() if name in (each.role, each.name)]
        if not members:
            raise jinja2.UndefinedError(f"no droplet has the role {name!r}")
        return [deployment.nodes[each] for each in members]

    return {
        "nodes": deployment.nodes,
        "databases": deployment.databases,
        "secrets": {name: deployment.secrets.get(name, _unknown(name)) for name in topology.secrets},
        "role": role,
        "node": deployment.nodes[node_name] if node_name else jinja2.StrictUndefined(NO_NODE, name="node"),
    }


def _unknown(secret: str) -> jinja2.StrictUndefined:
    """What stands for a secret whose value is not on this machine: an error where it is used."""
    problem = f"the secret {secret!r} is not known here: it is kept by the machine that ran `wavetank up`"
    return jinja2.StrictUndefined(problem, name=secret)


def render_compose(service: Service | StackService) -> str:
    """The service's compose file without networks."""
    return strip_networks(_read(service.compose), file=service.compose)


def render_env(topology: Topology, service: Service, context: Context) -> str:
    """The application's own ``.env`` (or ``.env.example``) with the topology's values in place."""
    place = f"services.{service.name}"
    values = dict(_evaluated(topology, service, place, context, also=dotenv.quote))
    return dotenv.merge(_own_environment(service), values)


def render_template(file: TemplateFile, context: Context) -> str:
    """A template's text, rendered."""
    try:
        return evaluate(_read(file.template), context, name=str(file.template))
    except ExpressionError as error:
        raise TopologyError(str(error), file=file.template, line=error.line, remedy=LOCATIONS) from error


def certificates(topology: Topology, deployment: Deployment, *nodes: str) -> dict[str, str]:
    """``NAME-ca.pem`` for each database that trusts one of the nodes."""
    return {
        f"{name}-ca.pem": deployment.databases[name].ca_pem
        for name, each in topology.databases.items()
        if any(node in each.trusted_sources for node in nodes)
    }


def evaluate(text: str, context: Context, *, name: str = "expression", compose: bool = False) -> str:
    """Render a template's text. Raises ``ExpressionError`` for bad syntax, unknown names and empty values.

    ``compose``: it is text of a compose file, where a ``$`` in a value would begin a variable.
    """
    try:
        return _environment(compose=compose).bounded_template(text, name).render(context)
    except jinja2.TemplateSyntaxError as error:
        raise ExpressionError(f"not a jinja2 template: {error.message}", error.lineno) from error
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise ExpressionError("nested too deep, or without an end", None) from error
    except Exception as error:  # a filter or a method may raise anything
        raise ExpressionError(str(error), _line_in(name, error.__traceback__)) from error


def _evaluated(
    topology: Topology,
    service: Service | StackService,
    place: str,
    context: Context,
    also: Callable[[str], object] = str,
) -> Iterator[tuple[str, str]]:
    """Name and value of each of the topology's variables; a value that ``also`` refuses is an error too."""
    for key, expression in service.environment.items():
        try:
            value = evaluate(expression, context)
            also(value)
        except ValueError as error:
            at = f"{place}.environment.{key}"
            raise TopologyError(str(error), file=topology.file, field=at, remedy=LOCATIONS) from error
        yield key, value


def check_environment(service: Service | StackService) -> None:
    """Raise ``TopologyError`` for an own ``.env`` that cannot be used."""
    if isinstance(service, StackService):
        environment_of(service, {})
    else:
        _own_environment(service)


def environment_of(service: Service | StackService, values: Mapping[str, str]) -> Mapping[str, str]:
    """A service's variables: the application's own, with these in their place and beside them."""
    file = next((path for path in _own_files(service) if path.is_file()), service.compose.parent / ENV)
    return read_variables(_own_environment(service), file, values)


def _own_environment(service: Service | StackService) -> str:
    existing = next((path for path in _own_files(service) if path.is_file()), None)
    return _read(existing).removeprefix(BYTE_ORDER_MARK) if existing else ""


def _own_files(service: Service | StackService) -> Iterator[Path]:
    return (service.compose.parent / name for name in USERS_ENV)


def _environment(*, compose: bool) -> Bounded:
    """This thread's environment: creating one costs more than rendering a small template."""
    name = "compose" if compose else "plain"
    if not hasattr(_OWN, name):
        made = Bounded(
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_without_variables if compose else _refuse_none,
        )
        setattr(_OWN, name, made)
    found: Bounded = getattr(_OWN, name)
    return found


def _refuse_none(value: Any) -> Any:
    if value is None:
        raise jinja2.UndefinedError("this value is empty: the droplet has no such address")
    return value


def _without_variables(value: Any) -> Any:
    """A value that Compose takes as it is. An undefined one stays undefined, and so an error."""
    given = _refuse_none(value)
    return given if isinstance(given, jinja2.Undefined) else str(given).replace("$", "$$")


def _line_in(name: str, traceback: TracebackType | None) -> int | None:
    """The last line of the template that an error passed through."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == name:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _read(path: Path) -> str:
    remedy = "correct the path in the topology, or the application directory (--app)"
    return read_text(path, remedy=remedy)

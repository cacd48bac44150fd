"""``build:`` sections: what each key of one becomes for ``docker build``, or why there is no such thing."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.compose.model import Build, ComposeProject, Container, is_beside, is_url

DOCKERFILE = "Dockerfile"

# They say how fast or under which further names it is built, which is for us to choose.
NO_MATTER = ("cache_from", "cache_to", "no_cache", "pull", "tags", "isolation", "provenance", "sbom")
REFUSED: Mapping[str, str] = {
    "privileged": "no builder of Docker's command line gives privileges",
    "entitlements": "images are built without privileges",
}
PLAIN = ("context", "dockerfile", "dockerfile_inline", "target", "network", "args", "additional_contexts")


def containers(project: ComposeProject) -> tuple[Container, ...]:
    """The services that start. Raises ``TopologyError`` for an image that cannot be built here."""
    return tuple(Container(name, project.image(name), build_of(project, name)) for name in project.started)


def build_of(project: ComposeProject, name: str) -> Build | None:
    """How a service's image is built; None where it is not. Raises ``TopologyError`` for what cannot be."""
    section = project.services[name].get("build")
    if section is None:
        return None
    place = f"services.{name}.build"
    _check_keys(project, place, section)
    context = _directory(project, place, section.get("context", "."))
    inline, dockerfile = section.get("dockerfile_inline", ""), section.get("dockerfile", DOCKERFILE)
    if not inline and not (context / dockerfile).is_file():
        problem, remedy = f"there is no {context / dockerfile}", "correct the path, or name an image instead"
        raise project.error(place, problem, remedy)
    return Build(
        context=context,
        dockerfile=dockerfile,
        inline=inline,
        target=section.get("target", ""),
        network=section.get("network", ""),
        arguments={key: value or "" for key, value in section.get("args", {}).items()},
        contexts={
            key: _context(project, f"{place}.additional_contexts", value)
            for key, value in section.get("additional_contexts", {}).items()
        },
        options=tuple(word for key, words in OPTIONS.items() for word in words(section.get(key))),
        buildkit=(*_secrets(project, name, section), *_ssh(project, section)),
    )


def _check_keys(project: ComposeProject, place: str, section: Mapping[str, Any]) -> None:
    for key, value in section.items():
        if key in REFUSED and value:
            raise project.error(f"{place}.{key}", REFUSED[key], "take it out, or name an image instead")
        if key not in (*PLAIN, *OPTIONS, "secrets", "ssh", *NO_MATTER, *REFUSED) and not key.startswith("x-"):
            problem = "images are not built with that here"
            raise project.error(f"{place}.{key}", problem, "take it out, or name an image instead")
    if len(section.get("platforms", ())) > 1:
        problem = f"one image of several platforms: {', '.join(section['platforms'])}"
        raise project.error(f"{place}.platforms", problem, "name the one that the droplets have")


def _directory(project: ComposeProject, place: str, context: str) -> Path:
    if is_url(context):
        problem = f"{context} is not on this machine, so what is built from it can change at any time"
        raise project.error(place, problem, "clone it beside the application, or name an image instead")
    return Path(posixpath.normpath((project.directory / context).as_posix()))


def _context(project: ComposeProject, place: str, given: str) -> str:
    """A further build context: a directory of this machine as its path, an image as it is."""
    if given.startswith("docker-image://"):
        return given
    if is_url(given) or given.startswith("service:"):
        problem = f"{given} is neither a directory nor an image (docker-image://NAME)"
        raise project.error(place, problem, "name a directory of the application")
    found = _directory(project, place, given) if is_beside(given) else Path(given)
    if not found.is_dir():
        raise project.error(place, f"there is no directory {found}", "correct the path")
    return str(found)


def _secrets(project: ComposeProject, name: str, section: Mapping[str, Any]) -> Iterator[str]:
    declared = project.document.get("secrets", {})
    for each in section.get("secrets", ()):
        found, source = declared.get(each["source"], {}), each["source"]
        place = f"services.{name}.build.secrets"
        if not is_beside(found.get("file", "")):
            problem = f"`{source}` is no file of the application"
            raise project.error(place, problem, "declare it with `file:` under the file's own `secrets:`")
        path = _secret_file(project, place, found["file"])
        yield "--secret"
        yield f"id={each.get('target') or source},src={path}"


def _secret_file(project: ComposeProject, place: str, given: str) -> Path:
    path = project.directory / given
    if not path.is_file():
        raise project.error(place, f"there is no {path}", "correct the path, or add the file")
    return path


def _ssh(project: ComposeProject, section: Mapping[str, Any]) -> Iterator[str]:
    """``default``, or ``ID=PATH`` with the path beside the compose file."""
    for each in section.get("ssh") or ():
        key, equals, path = str(each).partition("=")
        yield "--ssh"
        yield f"{key}={posixpath.normpath((project.directory / path).as_posix())}" if equals else key


def _each(option: str, values: Any) -> Iterator[str]:
    for value in values or ():
        yield option
        yield str(value)


def _pairs(option: str, values: Mapping[str, Any] | None) -> Iterator[str]:
    for key, value in (values or {}).items():
        yield option
        yield f"{key}={value or ''}"


def _hosts(values: Any) -> Iterator[str]:
    """``NAME=ADDRESS`` as every builder knows it."""
    yield from _each("--add-host", [str(each).replace("=", ":", 1) for each in values or ()])


def _limits(values: Mapping[str, Any] | None) -> Iterator[str]:
    for name, each in (values or {}).items():
        ends = f"{each['soft']}:{each['hard']}" if isinstance(each, Mapping) else str(each)
        yield "--ulimit"
        yield f"{name}={ends}"


# What `docker build` is given for a key, whichever its builder.
OPTIONS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "extra_hosts": _hosts,
    "labels": lambda values: _pairs("--label", values),
    "platforms": lambda values: _each("--platform", values),
    "shm_size": lambda value: _each("--shm-size", [value] if value else ()),
    "ulimits": _limits,
}


def table() -> dict[str, str]:
    """What becomes of each key of a ``build:`` section."""
    found = {
        **dict.fromkeys(PLAIN, "the same"),
        **dict.fromkeys(OPTIONS, "the same"),
        **dict.fromkeys(("secrets", "ssh"), "the same, with BuildKit"),
        "additional_contexts": "the same, with BuildKit",
        "platforms": "the same, one at the most",
        **dict.fromkeys(NO_MATTER, "left out: it does not change what is built"),
        **{key: f"an error: {why}" for key, why in REFUSED.items()},
    }
    return dict(sorted(found.items()))

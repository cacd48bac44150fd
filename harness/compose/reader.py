"""``docker compose config`` over an application, and its answer as a :class:`ComposeProject`."""

from __future__ import annotations

import errno
import json
import os
import posixpath
import re
import subprocess
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.compose import binary, messages, sources
from harness.compose.model import ComposeProject, EnvFile
from harness.compose.shadow import DEPTH, ROOT, shadow
from harness.core import process
from harness.core.documents import BYTE_ORDER_MARK, read_bytes, read_text
from harness.core.errors import EngineError, TopologyError

SECONDS = 60.0
MEMORY_KIB = 1 << 20
# A value that is made of several of another one, and so on, would take all memory.
LIMITED = ("/bin/sh", "-c", f'ulimit -d {MEMORY_KIB} 2>/dev/null; exec "$@"', "sh")
CRASH = "fatal error: "  # of a Go program, and there it is the only reason
MOST_ANSWERS = 256
ENV = ".env"
HOME = "/wavetank-home"  # `~` of whoever runs Compose
TOP = "/wavetank-shadow"  # what answers call the shadow's directory, wherever it was
ALIAS = "WAVETANK_VALUE_"
NETWORK = "refers to undefined network"
UNSET = re.compile(r'The \\"([^"\\]+)\\" variable is not set')
NOWHERE: Mapping[str, str] = {}
# For Go's runtime: a short run needs no garbage collector, which takes a third of it.
QUICK: Mapping[str, str] = {"GOGC": "off", "GOMEMLIMIT": "256MiB"}
# Places of paths in a service's and in the file's other sections.
PATHS = ("source", "context", "file", "path")


@dataclass(frozen=True)
class Answer:
    """What Compose printed, with the shadow's directory under its constant name."""

    code: int
    out: str
    errors: str


@dataclass(frozen=True)
class _Question:
    """A compose file to be read, and all that Compose sees of its surroundings.

    ``files`` are rendered ones, relative to its directory. ``environment`` are variables that are not in a
    file: they take the place of ``.env``. ``more`` are the paths of compose files that are merged into it.
    """

    text: str
    file: Path
    root: Path
    files: Mapping[str, str] = field(repr=False)
    environment: Mapping[str, str] | None = field(repr=False)
    project: str
    more: tuple[str, ...] = ()

    @property
    def relative(self) -> str:
        return self.file.parent.relative_to(self.root).as_posix()

    def rendered(self) -> dict[str, str]:
        """The files that are written: the compose file itself, and ``.env`` where there are variables."""
        own = {self.file.name: self.text}
        if self.environment is not None:
            own[ENV] = "".join(f"{name}=${{{ALIAS}{at}}}\n" for at, name in enumerate(self.environment))
        return {**self.files, **own}

    def variables(self) -> dict[str, str]:
        """The process's environment. Values go by other names, so that none of them can direct Compose."""
        values = enumerate((self.environment or {}).values())
        return {
            "HOME": HOME,
            "PATH": os.environ.get("PATH", ""),
            **{f"{ALIAS}{at}": each for at, each in values},
        }

    def content(self, path: str) -> bytes | None:
        """A file by its path relative to the compose file; None where there is none."""
        if path in (known := self.rendered()):
            return known[path].encode()
        file = self.file.parent / path
        return read_bytes(file) if file.exists() else None

    def text_of(self, path: str) -> str | None:
        """As :meth:`content`, for text."""
        if path in (known := self.rendered()):
            return known[path]
        file = self.file.parent / path
        return read_text(file) if file.is_file() else None


_answers: OrderedDict[tuple[Any, ...], Answer] = OrderedDict()
_lock = threading.Lock()


def read(
    file: Path,
    *,
    root: Path | None = None,
    text: str | None = None,
    files: Mapping[str, str] = NOWHERE,
    environment: Mapping[str, str] | None = None,
    project: str = "wavetank",
    more: Sequence[str] = (),
) -> ComposeProject:
    """What the compose file means on a node. Raises ``TopologyError`` with what Compose says is wrong.

    ``root`` is the application's directory, which the file is in; ``text`` takes the place of what is in it.
    ``files`` are those that lie beside it on the node in place of the user's, by their paths relative to it;
    variables are those of the ``.env`` among them. With ``environment`` they are these instead, whatever
    characters they hold, and ``.env`` as a file holds the same. ``more`` are further compose files by such
    paths, which are merged into it in their order.
    """
    file = Path(os.path.abspath(file))  # noqa: PTH100 (symbolic links are the user's own)
    top = Path(os.path.abspath(root)) if root else file.parent  # noqa: PTH100
    question = _Question(
        text=(read_text(file) if text is None else text).removeprefix(BYTE_ORDER_MARK),
        file=file,
        root=top if file.is_relative_to(top) else file.parent,
        files={posixpath.normpath(name): each for name, each in files.items()},
        environment=environment,
        project=project,
        more=tuple(map(posixpath.normpath, more)),
    )
    return _Reader(question).project()


def replace_variables(text: str, file: Path, environment: Mapping[str, str]) -> str:
    """``text`` with ``${NAME}`` and the like replaced. Raises ``TopologyError`` as :func:`read`."""
    return _replaced(_Question("", file, file.parent, {}, environment, "wavetank"), text)


def read_variables(text: str, file: Path, given: Mapping[str, str]) -> dict[str, str]:
    """The variables in ``text``, an environment file that lies at ``file``, and the given ones.

    Given values take the place of its own, and are what its other values refer to. Raises ``TopologyError``.
    """
    if not text.strip():
        return dict(given)
    tiny = json.dumps({"services": {"x": {"image": "x", "env_file": "variables"}}})
    place = file.parent / "wavetank.json"
    question = _Question(
        tiny, place, file.parent, {"variables": text.removeprefix(BYTE_ORDER_MARK)}, given, "wavetank"
    )
    answer = _ask(question, ("--format", "json"), ())
    if answer.code:
        raise messages.translate(_users(answer.errors, question), "{}", file)
    body = _unescaped(json.loads(answer.out))["services"]["x"]
    return {name: value for name, value in body.get("environment", {}).items() if value is not None} | dict(
        given
    )


class _Reader:
    """One compose file on its way to a project."""

    def __init__(self, question: _Question) -> None:
        self._question = question
        self._sources = sources.find(
            question.text,
            question.file,
            lambda text: _replaced(question, text),
            question.text_of,
            question.more,
        )

    def project(self) -> ComposeProject:
        question, found = self._question, self._sources
        answer = self._config()
        document = _paths_mapped(_unescaped(json.loads(answer.out)), question)
        services = _in_order(document.get("services", {}), found.document)
        return ComposeProject(
            file=question.file,
            document=document,
            services={name: _tidy(body) for name, body in services.items()},
            started=self._started(services),
            compose_files=tuple(_beside(each) for each in found.compose_files),
            env_files=_env_files(found),
            beside=tuple(_beside(each) for each in found.beside if question.content(each) is not None),
            unset=tuple(dict.fromkeys(each for each in UNSET.findall(answer.errors))),
            variables=frozenset(found.variables),
            sections=tuple(map(str, found.document)),
            extensions=_extensions(found.document),
        )

    def _config(self) -> Answer:
        """The answer for all services; for those that start, where others cannot be read."""
        everything = self._ask("--profile", "*")
        if everything.code and _names_profiles(self._sources.document):
            active = self._ask()
            if not active.code:
                return active
        if everything.code:
            raise self._error(everything)
        return everything

    def _started(self, services: Mapping[str, Any]) -> tuple[str, ...]:
        if not any(body.get("profiles") for body in services.values()):
            return tuple(services)
        answer = self._ask(last=("--services",))
        if answer.code and "no service selected" in answer.errors:
            return ()
        if answer.code:
            raise self._error(answer)
        listed = set(answer.out.split())
        return tuple(name for name in services if name in listed)

    def _ask(self, *first: str, last: Sequence[str] = ("--format", "json")) -> Answer:
        answer = _ask(self._question, last, first, self._sources)
        if (
            answer.code and NETWORK in answer.errors
        ):  # they are gone on the node, so that none has to be declared
            answer = _ask(self._question, last, first, self._sources, networks=True)
        return answer

    def _error(self, answer: Answer) -> Exception:
        question = self._question
        return messages.translate(_users(answer.errors, question), question.text, question.file)


def _replaced(question: _Question, text: str) -> str:
    tiny = json.dumps({"services": {"x": {"image": "x", "labels": {"text": text}}}})
    place = question.file.with_name("wavetank.json")
    asked = _Question(tiny, place, question.root, question.files, question.environment, question.project)
    answer = _ask(asked, ("--format", "json"), ())
    if answer.code:
        raise messages.translate(_users(answer.errors, question), question.text or "{}", question.file)
    value = _unescaped(json.loads(answer.out))["services"]["x"]["labels"]["text"]
    return str(value).removeprefix(f"{_directory(question)}/")


def _ask(
    question: _Question,
    last: Sequence[str],
    first: Sequence[str],
    found: sources.Sources | None = None,
    *,
    networks: bool = False,
) -> Answer:
    """Compose's answer; the same question is not asked twice, unless it was long ago."""
    named = sorted({*found.all(), ENV}) if found else [ENV]
    seen = tuple((path, question.content(path)) for path in named)
    declared = _networks(question, found) if networks and found else ""
    key = (
        binary.find(), question.text, question.relative, question.file.name, question.project,
        tuple(sorted(question.files.items())), tuple((question.environment or {}).items()),
        question.environment is None, question.more, seen, tuple(last), tuple(first), declared,
    )  # fmt: skip
    with _lock:
        if key in _answers:
            _answers.move_to_end(key)
            return _answers[key]
    texts = [each.encode() for each in question.rendered().values()]
    texts += [content for _, content in seen if content]
    answer = _run(question, last, first, declared, QUICK if not _mention(texts, QUICK) else NOWHERE)
    with _lock:
        _answers[key] = answer
        while len(_answers) > MOST_ANSWERS:
            _answers.popitem(last=False)
    return answer


def _mention(texts: Sequence[bytes], names: Iterable[str]) -> bool:
    """Whether one of the names may be a variable of the application."""
    return any(name.encode() in text for text in texts for name in names)


def _run(
    question: _Question,
    last: Sequence[str],
    first: Sequence[str],
    declared: str,
    quick: Mapping[str, str],
) -> Answer:
    files = question.rendered()
    names = [question.file.name, *question.more]
    if declared:
        names.append(f"networks.{question.file.name}")
        files[names[-1]] = declared
    merged = [word for name in names for word in ("-f", name)]
    argv = [*LIMITED, str(binary.find()), "-p", question.project, *merged, *first, "config", *last]
    with shadow(question.root, question.file.parent, files) as made:
        environment = {**question.variables(), **quick, "PWD": str(made.directory)}
        done = _done(argv, made.directory, environment, question.file)
        out, errors = (
            each.decode(errors="replace").replace(str(made.top), TOP) for each in (done.stdout, done.stderr)
        )
    if done.returncode and CRASH in errors:
        problem = f"with its variables replaced, it is longer than what fits into {MEMORY_KIB >> 10} MiB"
        raise TopologyError(problem, file=question.file, remedy="use a variable less often")
    return Answer(done.returncode, out, errors)


def _done(
    argv: Sequence[str], directory: Path, environment: Mapping[str, str], file: Path
) -> subprocess.CompletedProcess[bytes]:
    try:
        return process.run(argv, seconds=SECONDS, cwd=directory, env=environment)
    except subprocess.TimeoutExpired as error:
        problem, remedy = "Docker Compose did not read it in time", "make it shorter, and use fewer variables"
        raise TopologyError(problem, file=file, remedy=remedy) from error
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise EngineError(f"{argv[len(LIMITED)]} cannot be run: {error}") from error
        problem, remedy = "its variables are longer than a process's environment may be", "make them shorter"
        raise TopologyError(problem, file=file, remedy=remedy) from error


def _networks(question: _Question, found: sources.Sources) -> str:
    """A compose file that declares every network that a service names."""
    documents = [found.document]
    for path in found.compose_files:
        text = question.text_of(path)
        documents += [sources.parse(text, question.file.parent / path)] if text else []
    bodies = [body for each in documents for body in sources.services_of(each).values()]
    names = {str(name) for body in bodies for name in body.get("networks") or ()}
    return json.dumps({"networks": {name: {} for name in sorted(names)}})


def _directory(question: _Question) -> str:
    return posixpath.normpath(f"{TOP}/{DEPTH}/{ROOT}/{question.relative}")


def _users(text: str, question: _Question) -> str:
    """``text`` with the user's directories for the shadow's."""
    inner, outer = f"{TOP}/{DEPTH}/{ROOT}", question.root
    while inner != TOP:
        text = text.replace(inner, str(outer))
        inner, outer = posixpath.dirname(inner), outer.parent
    return text.replace(HOME, "~")


def _unescaped(value: Any) -> Any:
    """Compose writes a dollar sign as two."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: _unescaped(each) for key, each in value.items()}
    return [_unescaped(each) for each in value] if isinstance(value, list) else value


def _paths_mapped(document: Any, question: _Question) -> dict[str, Any]:
    """Paths of the shadow relative to the compose file; where they are part of a text, the user's."""
    directory = _directory(question)

    def mapped(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {
                name: mapped(each, name if key != "additional_contexts" else "path")
                for name, each in value.items()
            }
        if isinstance(value, list):
            return [mapped(each, key) for each in value]
        if not isinstance(value, str) or (TOP not in value and HOME not in value):
            return value
        if key in PATHS and value.startswith(f"{TOP}/"):
            return _beside(posixpath.relpath(value, directory))
        if key in PATHS and value.startswith(f"{HOME}/"):
            return f"~{value.removeprefix(HOME)}"
        return _users(value, question)

    return {name: mapped(value, name) for name, value in document.items()}


def _beside(path: str) -> str:
    """A relative path in the form that a :class:`ComposeProject` has: it begins with a dot."""
    return path if path == "." or path.startswith(("./", "..")) else f"./{path}"


def _in_order(services: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """The services in the order of the file; those of other files after them."""
    written = [name for name in sources.services_of(document) if name in services]
    return {name: services[name] for name in dict.fromkeys((*written, *services))}


def _names_profiles(document: Mapping[str, Any]) -> bool:
    return bool(document.get("include")) or any(
        "profiles" in body or "extends" in body for body in sources.services_of(document).values()
    )


def _extensions(document: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(str(key) for key in body if str(key).startswith("x-"))
        for name, body in sources.services_of(document).items()
    }


def _env_files(found: sources.Sources) -> Mapping[str, tuple[EnvFile, ...]]:
    return {
        name: tuple(replace(each, path=_beside(each.path)) for each in files)
        for name, files in found.env_files.items()
        if files
    }


def _tidy(body: Mapping[str, Any]) -> dict[str, Any]:
    """A service without what Compose adds that says nothing: keys without value, and the default network."""
    kept = {key: value for key, value in body.items() if value is not None}
    if kept.get("networks") == {"default": None}:
        del kept["networks"]
    if isinstance(kept.get("deploy"), dict):
        kept["deploy"] = {key: value for key, value in kept["deploy"].items() if value not in ({}, None)}
    if "volumes" in kept:
        kept["volumes"] = [dict(_mount(each)) for each in kept["volumes"]]
    return kept


def _mount(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in given.items():
        # Compose itself says create_host_path of every short form.
        kept = (
            {name: each for name, each in value.items() if name != "create_host_path" or not each}
            if key == "bind"
            else value
        )
        if kept not in ({}, None):
            yield key, kept

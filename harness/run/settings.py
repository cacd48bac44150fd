"""The settings of every command: target, topology, run; and how each default is found.

The command line and the pytest plugin both use this module, so that ``wavetank verify`` and
``pytest --target=local`` mean the same.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.errors import UsageError
from harness.core.names import check_run, longest_run
from harness.core.paths import PROJECT
from harness.existing.place import ExistingDir, existing_dir
from harness.run import lease as leases
from harness.run import lock
from harness.run.rundir import RunDir

if TYPE_CHECKING:
    from harness.core.progress import Progress
    from harness.target.target import Target
    from harness.topology.model import Topology

STATE_DIR = Path(".wavetank")
TARGETS = ("local", "do")


@dataclass(frozen=True)
class Settings:
    """The common options as given; None: use the default.

    ``existing`` is the tag of a deployment that somebody else made, instead of a run;
    ``ssh_key`` and ``ssh_user`` are for its nodes.
    """

    target: str | None = None
    topology: str | None = None
    run: str | None = None
    app: Path | None = None
    state_dir: Path = STATE_DIR
    endpoint: str | None = None
    ca_file: Path | None = None
    proxy: str | None = None
    operators: tuple[str, ...] = ()
    existing: str | None = None
    ssh_key: Path | None = None
    ssh_user: str | None = None

    def __post_init__(self) -> None:
        if self.existing is not None and self.run is not None:
            raise UsageError("--existing and --run exclude one another: an existing deployment is not a run")
        if self.existing is None and (self.ssh_key or self.ssh_user):
            raise UsageError("--ssh-key and --ssh-user need --existing: a run has a key of its own")
        if self.target not in (None, *TARGETS):
            raise UsageError(f"unknown target {self.target!r}: use one of {', '.join(TARGETS)}")
        if self.run is not None:
            check_run(self.run)


@dataclass(frozen=True)
class Choice:
    """The defaults filled in: a target's name, a topology's file or name, a run and its directory.

    ``topology`` is looked up only when it is loaded: a run whose file is gone can still be deleted.
    """

    target: str
    topology: str
    app: Path | None
    run_dir: RunDir
    settings: Settings

    @property
    def run(self) -> str:
        return self.run_dir.run

    @property
    def place(self) -> ExistingDir | None:
        """The directory of an existing deployment's reports; None for a run."""
        return self.run_dir if isinstance(self.run_dir, ExistingDir) else None


def topology_file(name: str) -> Path:
    """The file of a ``--topology``: a path as it is, or the name of a bundled topology."""
    if "/" in name or name.endswith((".yaml", ".yml")):
        file = Path(name)
        if not os.path.lexists(file):
            raise UsageError(f"no topology file {name!r}")
        try:
            return file.resolve()
        except (OSError, RuntimeError):  # a link to itself, which is reported when it is read
            return file.absolute()
    topologies = PROJECT / "topologies"
    file = topologies / f"{name}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(each.stem for each in topologies.glob("*.yaml")))
        raise UsageError(f"unknown topology {name!r}: use one of {known}, or a path to a .yaml file")
    return file.resolve()


def new_name(topology: str, suffix: str = "", *, databases: Collection[str] = ()) -> str:
    """``standard-7f3a``: the topology's name, as far as a run's name allows, and a random suffix.

    ``suffix`` goes between the two; the whole is short enough for the host names of ``databases``.
    """
    end = f"{suffix}-{secrets.token_hex(2)}"
    stem = ("-".join(_words(topology)) or "run")[: longest_run(databases) - len(end)]
    return f"{stem.strip('-')}{end}".strip("-")


def latest_run(state_dir: Path) -> RunDir | None:
    """The run that ``latest`` points at, None if there is none."""
    latest = state_dir / "latest"
    if not latest.is_dir():
        return None
    return RunDir(state_dir, latest.resolve().name)


def choose_new(settings: Settings, existing: Sequence[str] = (), topology: Topology | None = None) -> Choice:
    """The run for ``up``: the named one, else the latest with the same topology if it exists, else a new one.

    ``existing`` are the runs that the target still has. A run that another process works on is not chosen.
    A new one is named after ``topology``, once that is loaded, and short enough for its databases. An
    application that an earlier ``up`` was told with ``--app`` stays only as long as the topology's file does.
    """
    target = settings.target or "local"
    file = topology_file(settings.topology or "standard")
    run_dir = _named(settings) or _latest_like(settings, target, file, existing)
    if run_dir is None:
        name, databases = (topology.name, topology.databases) if topology else (file.stem, {})
        run_dir = RunDir(settings.state_dir, new_name(name, databases=databases))
    facts = run_dir.facts()
    same = facts.get("topology") == str(file)
    return Choice(target, str(file), _app(settings, facts if same else {}), run_dir, settings)


def choose_existing(settings: Settings) -> Choice:
    """The run for every other command: the named one, else the latest; the rest as stored with the run.

    With ``existing`` it is a deployment that somebody else made, of which nothing is stored. Raises
    ``UsageError`` if there is no run yet.
    """
    if settings.existing is not None:
        return _of_somebody_else(settings, settings.existing)
    run_dir = _named(settings) or latest_run(settings.state_dir)
    if run_dir is None:
        raise UsageError(
            f"no run in {settings.state_dir}: create one with `wavetank up`, or give its name with --run"
        )
    facts = run_dir.facts()
    target = settings.target or facts.get("target", "local")
    remembered = facts.get("target", target)
    if remembered != target:
        raise UsageError(
            f"run {run_dir.run!r} is on target {remembered!r}, not {target!r}: give another name with --run"
        )
    topology = settings.topology or facts.get("topology", "standard")
    return Choice(target, topology, _app(settings, facts), run_dir, _with_facts(settings, facts))


def _of_somebody_else(settings: Settings, tag: str) -> Choice:
    place = existing_dir(settings.state_dir, tag, settings.ssh_key, settings.ssh_user or "root")
    topology = settings.topology or "standard"
    return Choice(settings.target or "do", topology, _app(settings, {}), place, settings)


def is_nowhere(settings: Settings, target: str) -> bool:
    """Whether ``target`` is ``local`` and there is no emulator, so that there can be no deployment."""
    from harness.target import emulator_process

    return target == "local" and not emulator_process.directory(settings.state_dir).is_dir()


def resolve_existing(choice: Choice, progress: Progress, *, lease: bool = True) -> Target:
    """The target of a run that should exist. Raises ``UsageError`` if it cannot exist.

    Until the command ends, a lease says that the run is used. With ``lease`` False, and for an existing
    deployment, nothing is changed.
    """
    if is_nowhere(choice.settings, choice.target):
        if choice.place:
            raise UsageError(
                f"there is no emulator in {choice.settings.state_dir}, so there is nothing to check"
            )
        raise not_up(choice)
    target = resolve(choice.settings, choice.target, progress)
    if lease and not choice.place:
        leases.keep(target, choice.run)
    return target


def no_such_run(choice: Choice, there: Sequence[str]) -> UsageError:
    """The error for the name of a run that the target does not have; ``there`` are those it has."""
    known = ", ".join(there) or "none"
    return UsageError(f"there is no run {choice.run!r} on {choice.target}; existing runs: {known}")


def not_up(choice: Choice) -> UsageError:
    """The error for a run that does not exist."""
    return UsageError(f"run {choice.run!r} is not up on {choice.target}: create it with `wavetank up`")


def resolve(settings: Settings, target: str, progress: Progress, *, droplets: str | None = None) -> Target:
    """A target, ready for requests. Starts the emulator for ``local`` if none is running.

    ``droplets`` is what the emulator's droplets are to be; None: whatever they are.
    With ``existing`` it is read-only: its clients send nothing but GET.
    """
    from harness.target.target import resolve_target

    found = resolve_target(
        target,
        state_dir=settings.state_dir,
        endpoint=settings.endpoint,
        ca_file=settings.ca_file,
        proxy=settings.proxy,
        operators=settings.operators,
        droplets=droplets,
        progress=progress,
    )
    return replace(found, read_only=settings.existing is not None)


def load_topology(choice: Choice, *, compose: bool = False) -> Topology:
    """The topology of a choice, validated; with ``compose`` also by Compose, before it is deployed."""
    from harness.topology import load

    return load(topology_file(choice.topology), app=choice.app, compose=compose)


def remember(choice: Choice) -> None:
    """Store the defaults of later commands. Never the token."""
    settings = choice.settings
    choice.run_dir.remember(
        target=choice.target,
        topology=choice.topology,
        app=str(choice.app) if choice.app else None,
        endpoint=settings.endpoint,
        ca_file=str(settings.ca_file) if settings.ca_file else None,
        proxy=settings.proxy,
        operators=list(settings.operators),
    )


def arguments(choice: Choice) -> list[str]:
    """The choice as options of the command line or of pytest."""
    settings = choice.settings
    pairs = (
        ("--target", choice.target),
        ("--topology", choice.topology),
        ("--run", None if choice.place else choice.run),
        ("--existing", settings.existing),
        ("--ssh-key", settings.ssh_key and settings.ssh_key.resolve()),
        ("--ssh-user", settings.ssh_user),
        ("--app", choice.app),
        ("--state-dir", settings.state_dir.resolve()),
        ("--endpoint", settings.endpoint),
        ("--ca-file", settings.ca_file),
        ("--proxy", settings.proxy),
        *(("--operator-cidr", cidr) for cidr in settings.operators),
    )
    return [f"{option}={value}" for option, value in pairs if value is not None]


def as_json(document: Any) -> str:
    """JSON as every command prints it."""
    return json.dumps(document, indent=2)


def _named(settings: Settings) -> RunDir | None:
    return RunDir(settings.state_dir, settings.run) if settings.run else None


def _latest_like(settings: Settings, target: str, file: Path, existing: Sequence[str]) -> RunDir | None:
    latest = latest_run(settings.state_dir)
    if latest is None or latest.run not in existing or lock.is_in_use(latest):
        return None
    facts = latest.facts()
    same = facts.get("target") == target and facts.get("topology") == str(file)
    return latest if same else None


def _words(text: str) -> list[str]:
    return "".join(each if each.isascii() and each.isalnum() else " " for each in text.lower()).split()


def _app(settings: Settings, facts: dict[str, Any]) -> Path | None:
    if settings.app is not None:
        if not settings.app.is_dir():
            raise UsageError(f"--app {settings.app}: no such directory")
        return settings.app.resolve()
    return Path(facts["app"]) if facts.get("app") else None


def _with_facts(settings: Settings, facts: dict[str, Any]) -> Settings:
    remembered = facts.get("ca_file")
    return Settings(
        target=settings.target or facts.get("target"),
        topology=settings.topology,
        run=settings.run,
        app=settings.app,
        state_dir=settings.state_dir,
        endpoint=settings.endpoint or facts.get("endpoint"),
        ca_file=settings.ca_file or (Path(remembered) if remembered else None),
        proxy=settings.proxy or facts.get("proxy"),
        operators=settings.operators or tuple(facts.get("operators", ())),
    )

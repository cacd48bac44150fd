"""The editor of tests/apps/editor through the command line: stood up, checked, and changed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker
from beside import images_beside
from small_plan import Done, Shell, shell

from harness.run.settings import PROJECT

BUILD_SECONDS = 600  # a step may say nothing for long
APPS = PROJECT / "tests/apps"

Outcomes = Mapping[str, Mapping[str, str]]


@dataclass
class Standing:
    """The run ``editor``, and what commands of the tutorial said. ``deployed`` is what was deployed last."""

    shell: Shell
    topology: Path
    deployed: Path | None = None
    printed: dict[str, Done] = field(default_factory=dict)

    def up(self, topology: Path) -> list[str]:
        """Bring the run to ``topology``; returns what was deployed."""
        self.deployed = topology
        done = self.shell.begin("up", f"--topology={topology}", "--run=editor", "-o", "json").end(600)
        assert done.code == 0, done.err
        deployed: list[str] = done.json["deployed"]
        return deployed

    def restore(self) -> None:
        """Bring the run back to its own topology, if a test has brought it to another one."""
        if self.deployed != self.topology:
            self.up(self.topology)

    def verify(self, chosen: str, *, topology: Path | None = None) -> Outcomes:
        """Run the chosen checks."""
        given = [f"--topology={topology}"] if topology else []
        done = self.shell.begin("verify", "--run=editor", "--no-faults", "-k", chosen, *given).end(400)
        assert done.code in (0, 1, 2), done.err
        return self.outcomes()

    def outcomes(self) -> Outcomes:
        """What the last run of checks found: reasons by the checks' names, by outcome."""
        report = json.loads((self.shell.state_dir / "latest/report.json").read_text())
        found: dict[str, dict[str, str]] = {"passed": {}, "failed": {}, "inconclusive": {}}
        for each in report["checks"]:
            found.setdefault(each["outcome"], {})[each["id"]] = each.get("reason", "")
        return found

    def follow(self, command: str, *options: object) -> Done:
        """Run a command of the tutorial, and keep what it says."""
        words = [str(self.topology) if each == "editor.yaml" else each for each in shlex.split(command)[1:]]
        done = self.shell.begin(words[0], *words[1:], *options).end(600)
        self.printed[command] = done
        return done


@contextmanager
def editor(directory: Path, topology: Path) -> Iterator[Standing]:
    """The editor, not up yet. In the end it is taken down, and nothing of it may be left."""
    with (
        closing(docker.from_env(timeout=BUILD_SECONDS)) as engine,
        images_beside(engine),
        shell(directory, topology) as wavetank,
    ):
        standing = Standing(wavetank, topology)
        yield standing
        done = standing.follow("wavetank down")
        assert done.code == 0, done.err
        assert wavetank.left() == []


def edited(directory: Path, topology: Path, *changes: tuple[str, str]) -> Path:
    """A copy of a topology in ``directory`` with texts replaced, each of which is there once."""
    text = topology.read_text().replace("\napp: editor\n", f"\napp: {APPS}/editor\n")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file = directory / topology.name
    file.write_text(text)
    return file

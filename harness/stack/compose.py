"""A source's compose file as Compose reads it, with secret values tainted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.compose import ComposeProject
from harness.compose import read as read_project
from harness.core.errors import TopologyError
from harness.stack import taint


@dataclass(frozen=True)
class ComposeFile:
    """What one compose file says: ``project``, with tainted values where ``environment`` has them."""

    project: ComposeProject
    environment: Mapping[str, str] = field(repr=False)

    @property
    def document(self) -> Mapping[str, Any]:
        """The whole of Compose's answer."""
        return self.project.document

    @property
    def services(self) -> Mapping[str, Mapping[str, Any]]:
        """The services of the file, without keys that have no value."""
        return self.project.services

    @property
    def started(self) -> tuple[str, ...]:
        """The services that ``compose up`` starts."""
        return self.project.started

    @property
    def passwords(self) -> dict[str, str]:
        """The secret values in ``environment``, each with its variable's name."""
        return {
            taint.untainted(value): name for name, value in self.environment.items() if taint.is_secret(value)
        }

    def own_name(self, kind: str, name: str) -> str | None:
        """The name that the file itself gives to a volume, config or secret; None where Compose made it."""
        found = self.document.get(kind, {}).get(name, {}).get("name")
        return None if found in (None, f"{self.document.get('name')}_{name}") else str(found)


def read(
    text: str,
    environment: Mapping[str, str],
    *,
    file: Path,
    root: Path | None = None,
    files: Mapping[str, str] | None = None,
    project: str = "stack",
    more: Sequence[str] = (),
) -> ComposeFile:
    """Read the compose file ``text``. ``environment`` is tainted. Raises ``TopologyError``."""
    if taint.ANY.search(text):
        problem = "it holds characters of Unicode's private use area, U+E000 to U+E003"
        raise TopologyError(problem, file=file, remedy="take them out")
    try:
        found = read_project(
            file,
            root=root,
            text=text,
            files=files or {},
            environment=environment,
            project=project,
            more=more,
        )
    except TopologyError as error:
        problem, remedy = taint.masked(error.problem), taint.masked(error.remedy)
        if taint.deferred_names(error.problem):
            remedy = "only a deployment has that value: `wavetank stack` of a run that is up shows the stack"
        raise TopologyError(
            problem, file=error.file, line=error.line, field=error.field, remedy=remedy
        ) from None
    return ComposeFile(found, environment)

"""The values of a topology's secrets: generated once for each run, or read from this machine.

Generated ones are kept in the run's own directory, ``secrets.json``, which only its owner can read. Nobody
else has them, so a run that was created on another machine has none here.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.core.documents import read_object, read_text
from harness.core.errors import TopologyError, UsageError
from harness.topology.rendering import dotenv

if TYPE_CHECKING:
    from harness.run.rundir import RunDir
    from harness.topology.deployment import Deployment
    from harness.topology.model import Secret, Topology

FILE = "secrets.json"
BYTES = 20


def check(topology: Topology) -> None:
    """Raise ``UsageError`` for a secret that should come from this machine, and does not."""
    for each in topology.secrets.values():
        if not each.generated:
            _given(topology, each)


def create(topology: Topology, run_dir: RunDir) -> None:
    """Generate what the run does not have yet; what it has stays."""
    known = _kept(run_dir)
    missing = [name for name, each in topology.secrets.items() if each.generated and name not in known]
    if not missing:
        return
    values = {**known, **{name: secrets.token_hex(BYTES) for name in missing}}
    fresh = run_dir.path / f".{FILE}-{os.getpid()}"
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(values, file, indent=2, sort_keys=True)
    fresh.replace(run_dir.path / FILE)


def with_secrets(deployment: Deployment, topology: Topology, run_dir: RunDir) -> Deployment:
    """The deployment with the values that are known here; whoever uses another one gets an error."""
    return replace(deployment, secrets=dict(_known(topology, run_dir))) if topology.secrets else deployment


def _known(topology: Topology, run_dir: RunDir) -> Iterator[tuple[str, str]]:
    kept = _kept(run_dir)
    for name, each in topology.secrets.items():
        if each.generated and name in kept:
            yield name, kept[name]
        elif not each.generated:
            try:
                yield name, _given(topology, each)
            except UsageError:
                continue  # most commands need none


def _given(topology: Topology, secret: Secret) -> str:
    if secret.file is not None:
        value = read_text(secret.file, remedy="give the path of a file, relative to the topology").rstrip(
            "\n"
        )
        source, remedy = f"{secret.file} is", "write the secret into it"
    else:
        value = os.environ.get(secret.environment, "")
        source, remedy = f"${secret.environment} is not set or", f"export {secret.environment}=..."
    if not value:
        field = f"secrets.{secret.name}"
        raise TopologyError(f"{source} empty", file=topology.file, field=field, remedy=remedy)
    try:
        dotenv.quote(value)
    except ValueError as error:
        problem, remedy = f"it cannot be written into a file: {error}", "take another value"
        raise TopologyError(
            problem, file=topology.file, field=f"secrets.{secret.name}", remedy=remedy
        ) from None
    return value


def _kept(run_dir: RunDir) -> Mapping[str, str]:
    file = run_dir.path / FILE
    if not os.path.lexists(file):
        return {}
    remedy = "remove it: the next `wavetank up` generates new ones, and deploys again what uses them"
    found = read_object(file, "a run's secrets", remedy=remedy)
    if not all(isinstance(value, str) and value for value in found.values()):
        raise TopologyError("has a value that is not text", file=file, remedy=remedy)
    return found

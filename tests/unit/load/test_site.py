"""What a load knows of the deployment that it is put on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.errors import UsageError
from harness.load.experiments.site import worker_service, worker_tasks
from harness.load.watch.kinds import Kinds
from harness.topology.model import Service


def session(directory: Path, compose: str) -> Any:
    """A deployment with one compose project, ``worker``, of which nothing is asked."""
    file = directory / "docker-compose.yml"
    file.write_text(compose)
    service = Service("worker", ("worker-1", "worker-2"), file, (), {}, (), "")
    return SimpleNamespace(
        topology=SimpleNamespace(name="mine", swarm=None, services=(service,)), access=None
    )


def test_workers_that_cannot_be_counted_are_unknown(tmp_path: Path) -> None:
    """A load needs their number for what it says beside the measurement, and is not refused for it."""
    known = Kinds(services={"worker": "worker"})
    assert worker_service(session(tmp_path, "services: {}"), known) == "worker"
    assert worker_tasks(session(tmp_path, "services: {worker-1: {}, worker-2: {}}"), known) is None


def test_without_a_service_that_runs_programs_their_number_is_unknown(tmp_path: Path) -> None:
    """Whoever wants to scale is told so."""
    of_none = session(tmp_path, "services: {worker: {}}")
    assert worker_tasks(of_none, Kinds()) is None
    with pytest.raises(UsageError, match="one service must run the programs"):
        worker_service(of_none, Kinds())

"""Reading a topology file: the flow, one step a module."""

from __future__ import annotations

from pathlib import Path

from harness.core.errors import TopologyError
from harness.topology import schema
from harness.topology.build import build
from harness.topology.model import Topology
from harness.topology.rendering import headers, requests
from harness.topology.rendering.imagined import imagined
from harness.topology.source import Problems, read
from harness.topology.validation import application, placement, references


def load(file: Path, *, app: Path | None = None, compose: bool = True) -> Topology:
    """The topology a file declares; ``app`` takes the place of its application directory.

    Without ``compose`` the application's compose files are not read by Compose, which takes some tenths of a
    second: for what is deployed already.
    Raises ``TopologyError`` (``TopologyErrors`` for several at once) naming file, line, field and remedy.
    Each step checks all it can before it raises, and needs the steps before it to have passed.
    """
    # Imported here, for they use harness.firewall, which is built on the data of this package.
    from harness.topology.validation import intent, underlay

    source = read(file)
    problems = Problems(source)
    raw = schema.check(problems)
    names = references.check(raw, problems)
    topology = build(raw, names, file, app)
    intent.check(raw, names, topology, problems)
    placement.check(topology, problems)
    underlay.check(topology, problems)
    application.check(raw, topology, problems, compose=compose)
    _check_expressions(topology, problems)
    problems.raise_any()
    return topology


def _check_expressions(topology: Topology, problems: Problems) -> None:
    """Those of ``checks`` and of health checks, tried on a deployment that there is not."""
    made_up = imagined(topology)
    for place, error in headers.check(topology, made_up).items():
        problems.add(place, error.problem, error.remedy)
    for number in range(len(topology.checks.requests)):
        try:
            requests.evaluated(topology, made_up, number, "nonce")
        except TopologyError as error:
            problems.add(("checks", "requests", number), error.problem, error.remedy)

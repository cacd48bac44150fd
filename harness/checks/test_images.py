"""What the application needs where emulated droplets and the topology's images differ."""

from __future__ import annotations

import pytest

from harness.deploy import read_apps
from harness.judge0.route import about_judge0
from harness.provision.machine_images import Machine
from harness.run.session import Session
from harness.topology.model import Topology
from harness.verify.cgroups import by_answers, by_images, judge


def test_judge0_has_the_cgroups_that_it_needs(
    session: Session, topology: Topology, machines: dict[str, Machine]
) -> None:
    """Judge0 up to 1.13.1 has cgroup v1 where it runs programs, here and on the image that is named."""
    needs = by_images(topology, read_apps(topology))
    if not needs and topology.checks.judge0 is None:
        pytest.skip(f"topology {topology.name} has no checks.judge0, and no image of Judge0's")
    needs = needs or by_answers(topology, *about_judge0(session))
    judge(needs, topology, machines, emulated=bool(session.target.info))

"""Fixtures of the checks that take power away: one stream of submissions, one outage for each set of nodes.

Several checks read the same outage, so it is made once, when the first of them asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from harness.faults.fault import POWER_OFF, Fault
from harness.faults.run import Once
from harness.faults.workload import Source, handing_in
from harness.target.api import Api
from harness.topology.model import FrontDoor
from harness.verify import recovery
from harness.verify.outage import Outage, OutageContext, run_outage
from harness.verify.setup import Setup

Walls = Callable[[Sequence[str]], Sequence[str]]
Note = Callable[[str], None]


class Work:
    """The submissions while they go on, and the outages that they went through."""

    def __init__(self, context: OutageContext) -> None:
        self.context, self.workload = context, context.workload
        self.outages: Once[Fault, Outage] = Once(partial(run_outage, context))

    def outage(self, nodes: tuple[str, ...]) -> Outage:
        """The outage of ``nodes``; made when first asked for. Raises what making it raised."""
        return self.outages.of(Fault(POWER_OFF, nodes))


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Keeps what a check saw, passed or not, as its property ``evidence`` in ``junit.xml``."""
    return lambda text: request.node.user_properties.append(("evidence", text))


@pytest.fixture(scope="session")
def look_at_walls(setup: Setup) -> Walls:
    """What is wrong with the firewalls of nodes that were away, in words; called once power is back."""
    return partial(recovery.walls, setup)


@pytest.fixture(scope="session")
def work(setup: Setup, door: FrontDoor, look_at_walls: Walls) -> Iterator[Work]:
    """Submissions handed in from now on, a few a second, until they are stopped or the end."""
    source = Source(setup.target, door, setup.deployment.nodes[door.node].public_ip or "")
    file = setup.choice.run_dir.path / "history.jsonl"
    with Api(setup.target) as api, handing_in(source, file) as workload:
        yield Work(OutageContext(setup, door, api, workload, look_at_walls))

"""Fixtures of the checks that take power away: one stream of submissions, one outage for each set of nodes.

Several checks read the same outage, so it is made once, when the first of them asks.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from harness.api import Api
from harness.errors import CheckFailedError
from harness.faults.history import Journal
from harness.faults.power import Power
from harness.faults.steady import Steady, Submissions
from harness.judge0 import frontdoor
from harness.topology.model import FrontDoor
from harness.verify import recovery
from harness.verify.outage import Outage, Stage, suffer
from harness.verify.setup import Setup

SUBMIT_EVERY, LIST_EVERY = 0.35, 1.5
# Longer than a program handed in at the wrong moment may take until another worker has run it.
ANSWER_SECONDS = 90.0

Walls = Callable[[Sequence[str]], Sequence[str]]
Note = Callable[[str], None]


class Work:
    """The stream of submissions while it goes on, and the outages that it went through."""

    def __init__(self, stage: Stage, file: Path) -> None:
        self.stage, self.file = stage, file
        self.outages: dict[tuple[str, ...], Outage | Exception] = {}
        self._streams = [Steady(stage.submissions.submit, every=SUBMIT_EVERY)]
        if stage.door.history:
            self._streams.append(Steady(stage.submissions.look_at_listing, every=LIST_EVERY))

    def outage(self, nodes: tuple[str, ...]) -> Outage:
        """The outage of ``nodes``; made when first asked for. Raises what making it raised."""
        if nodes not in self.outages:
            try:
                self.outages[nodes] = suffer(self.stage, nodes)
            except Exception as error:
                self.outages[nodes] = error
                raise
        found = self.outages[nodes]
        if isinstance(found, Exception):
            raise CheckFailedError(f"{' and '.join(nodes)}: {found}") from found
        return found

    def stop(self) -> None:
        """Hand nothing more in, and wait for the last answers."""
        while self._streams:
            self._streams.pop(0).stop(ANSWER_SECONDS)
        if self.stage.door.history:
            self.stage.submissions.look_at_listing()


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
    """Submissions handed in from now on, a few a second, until ``stop`` or the end."""
    file = setup.choice.run_dir.path / "history.jsonl"
    address = setup.deployment.nodes[door.node].public_ip or ""
    journal = Journal(file)
    with (
        frontdoor.open_single(setup.target, address, timeout=ANSWER_SECONDS) as client,
        Api(setup.target) as api,
    ):
        submissions = Submissions(client, door, journal, secrets.token_hex(4))
        power = Power(setup.target, setup.deployment, api)
        found = Work(Stage(setup, door, client, power, submissions, look_at_walls), file)
        try:
            yield found
        finally:
            found.stop()
            journal.close()

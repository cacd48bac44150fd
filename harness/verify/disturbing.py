"""Fixtures of the checks that take power away: one stream of submissions, one outage for each set of nodes.

Several checks read the same outage, so it is made once, when the first of them asks. The firewalls of all
nodes that were off are checked together, after all outages: every port is probed for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from harness.core.errors import CheckError, WavetankError
from harness.faults.fault import POWER_OFF, Fault
from harness.faults.pace import measure
from harness.faults.run import RunOnce
from harness.faults.workload import Source, submitting
from harness.run.session import Session
from harness.target.api import Api
from harness.topology.model import FrontDoor
from harness.verify import recovery
from harness.verify.outage import Outage, OutageContext, run_outage
from harness.verify.recovery import Violation

FirewallCheck = Callable[[Sequence[str]], Sequence[Violation]]
Note = Callable[[str], None]


class Work:
    """A running stream of submissions, and the outages meanwhile.

    ``check_firewalls`` checks the firewalls of nodes that were off.
    """

    def __init__(self, context: OutageContext, check_firewalls: FirewallCheck) -> None:
        self.context, self.workload = context, context.workload
        self.outages: RunOnce[Fault, Outage] = RunOnce(partial(run_outage, context))
        self._check_firewalls = check_firewalls
        self._violations: dict[Fault, tuple[str, ...]] = {}

    def outage(self, nodes: tuple[str, ...]) -> Outage:
        """The outage of ``nodes``; made when first asked for. Raises what making it raised."""
        return self.outages.of(Fault(POWER_OFF, nodes))

    def firewall_violations(self, outage: Outage) -> tuple[str, ...]:
        """What the firewalls of its nodes wrongly admit or stop; checked once for all outages until then."""
        if outage.fault not in self._violations:
            faults = [each.fault for each in self.outages.results() if each.fault not in self._violations]
            nodes = tuple(dict.fromkeys(node for fault in faults for node in fault.nodes))
            try:
                found = self._check_firewalls(nodes)
                self._violations |= {fault: _at(fault.nodes, found) for fault in faults}
            except (WavetankError, CheckError) as error:  # once: a scan that fails may take minutes
                self._violations |= dict.fromkeys(faults, (f"could not be checked: {error}",))
        return self._violations[outage.fault]


def _at(nodes: Sequence[str], found: Sequence[Violation]) -> tuple[str, ...]:
    return tuple(each.problem for each in found if each.pair.source in nodes or each.pair.target in nodes)


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Records a check's observation, passed or not, as its property ``evidence`` in ``junit.xml``."""
    return lambda text: request.node.user_properties.append(("evidence", text))


@pytest.fixture(scope="session")
def check_firewalls(session: Session) -> FirewallCheck:
    """What is wrong with the firewalls of nodes that were off; called once power is back."""
    return partial(recovery.firewall_violations, session)


@pytest.fixture(scope="session")
def work(session: Session, door: FrontDoor, check_firewalls: FirewallCheck) -> Iterator[Work]:
    """A stream of submissions from now on, a few a second, until it is stopped or the end."""
    source = Source(session.target, door, session.deployment.nodes[door.node].public_ip or "")
    file = session.choice.run_dir.path / "history.jsonl"
    with Api(session.target) as api, submitting(source, file, pace=measure) as workload:
        yield Work(OutageContext(session, door, api, workload), check_firewalls)

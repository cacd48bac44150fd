"""Observations while packets to one node are late: round trips to it, a swarm's members, programs.

A round trip is a TCP connection from the bastion to the node's sshd, which the management rules let pass in
every topology, where ICMP may be shut. The shortest of several is taken, for a busy machine only ever adds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from harness.access.ssh import Access
from harness.core.errors import CheckError, InconclusiveError, WavetankError
from harness.faults import link
from harness.faults.link import Quality
from harness.faults.watch import seconds_until_down
from harness.judge0 import frontdoor
from harness.run.session import Session
from harness.swarm import snapshot
from harness.topology.model import Topology

ATTEMPTS = 15
SSH_PORT = 22
ANSWER_SECONDS = 90.0
# No process is started between the two readings of the clock. One number a line, microseconds.
SCRIPT = """\
for _ in $(seq {attempts}); do
  before=${{EPOCHREALTIME/[.,]/}}
  exec 3<>/dev/tcp/{address}/{port} || exit 1
  after=${{EPOCHREALTIME/[.,]/}}
  exec 3>&-
  echo $((after - before))
done
"""


@dataclass(frozen=True)
class Slow:
    """The observations of a node whose link was slow for a while; times in milliseconds.

    ``members`` are those of a swarm that were not ready in any look meanwhile, with what they were.
    ``accepted`` programs were run as they should, ``trouble`` is what went wrong with the others.
    """

    node: str
    before_ms: float
    during_ms: float
    after_ms: float
    inspections: int
    members: Mapping[str, str]
    accepted: int
    trouble: tuple[str, ...]


def candidate(topology: Topology) -> str:
    """The node whose link is made slow: one that runs programs, else any. Never the bastion. Empty: none."""
    judge0 = topology.checks.judge0
    wanted = [*(judge0.workers if judge0 else ()), *topology.droplets]
    return next((node for node in wanted if node != topology.management.bastion), "")


def run_slow_link(session: Session, node: str, quality: Quality) -> Slow:
    """Make a node's links slow, observe, and make them perfect again, whatever happens in between."""
    target, deployment = session.target, session.deployment
    address = deployment.nodes[node].private_ip or ""
    link.restore(target, lambda: deployment)
    before = round_trip_ms(session.access, address)
    run = SlowLinkRun(session)
    with link.shaped(target, deployment, {node: quality}):
        during = round_trip_ms(session.access, address)
        run.observe()
    after = round_trip_ms(session.access, address)
    return Slow(
        node,
        before,
        during,
        after,
        run.inspections,
        run.members,
        run.accepted,
        tuple(dict.fromkeys(run.trouble)),
    )


def round_trip_ms(access: Access, address: str) -> float:
    """The shortest time of a TCP connection from the bastion to an address's sshd, in milliseconds."""
    script = SCRIPT.format(attempts=ATTEMPTS, address=address, port=SSH_PORT)
    return read(access.run(access.bastion, f"exec bash -c '{script}'"))


def read(output: str) -> float:
    """The shortest time in the script's output. Raises ``InconclusiveError`` where there are too few."""
    times = [int(line) / 1000 for line in output.split() if line.isdigit()]
    if len(times) < ATTEMPTS:
        raise InconclusiveError(f"{len(times)} of {ATTEMPTS} connections were made: {output!r}")
    return min(times)


class SlowLinkRun:
    """What is done and recorded while the link is slow."""

    def __init__(self, session: Session) -> None:
        self.inspections = self.accepted = 0
        self.members: dict[str, str] = {}
        self.trouble: list[str] = []
        self._session = session
        self._swarm = session.topology.swarm

    def observe(self) -> None:
        """Run a program and inspect the members, again and again until a silent one would be shown Down."""
        ends = time.monotonic() + seconds_until_down(self._swarm)
        while True:
            self._submit()
            self._inspect()
            if time.monotonic() >= ends:
                return
            time.sleep(0.5)

    def _submit(self) -> None:
        door = self._session.door
        if door is None:
            return
        address = self._session.deployment.nodes[door.node].public_ip or ""
        try:
            with frontdoor.open_client(self._session.target, address, door, timeout=ANSWER_SECONDS) as client:
                frontdoor.double(client, door, frontdoor.main_language(door), self.accepted + 21)
        except CheckError as error:
            self.trouble.append(str(error))
        else:
            self.accepted += 1

    def _inspect(self) -> None:
        if self._swarm is None:
            return
        session = self._session
        try:
            manager = snapshot.a_manager(session.access, session.topology)
            listed = snapshot.members(session.access, session.deployment, manager)
        except WavetankError as error:
            self.members["managers"] = str(error)
            return
        self.inspections += 1
        here = set(session.deployment.nodes)
        self.members |= {
            each.node: each.status for each in listed if each.node in here and each.status != "ready"
        }

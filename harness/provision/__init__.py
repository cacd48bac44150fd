"""Create what a topology declares through DigitalOcean's API, keep it so, and remove it; one file per step.

``desired`` (what should be) and ``observe`` (what is) meet in ``plan`` (what to change, and why), which
``apply`` carries out and ``destroy`` undoes. ``owner`` knows what is a run's own, and nothing else is ever
touched; ``guests`` knows who else would lose something, and what must stay as long as they do.
"""

from __future__ import annotations

from harness.core.progress import Progress
from harness.provision.apply import Deadlines, apply
from harness.provision.destroy import destroy, inspect, leftovers
from harness.provision.guests import refuse
from harness.provision.observe import Item, Observed, deployment, snapshot
from harness.provision.phases import lock_down
from harness.provision.plan import Change, Plan, make_plan
from harness.provision.price import Price, PriceItem, price
from harness.provision.runs import is_empty, runs
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

__all__ = [
    "Change",
    "Deadlines",
    "Item",
    "Observed",
    "Plan",
    "Price",
    "PriceItem",
    "destroy",
    "inspect",
    "is_empty",
    "leftovers",
    "lock_down",
    "observe",
    "plan",
    "price",
    "provision",
    "refuse",
    "runs",
]


def plan(target: Target, topology: Topology, run: str) -> Plan:
    """What ``provision`` would change and why; only reads. Raises ``UsageError`` where it could not."""
    from harness.target.api import Api

    with Api(target, read_only=True) as api:
        return make_plan(target, topology, run, snapshot(api, run))


def observe(target: Target, topology: Topology, run: str) -> Deployment:
    """The run's droplets and databases as the API reports them now; only reads."""
    from harness.target.api import Api

    with Api(target, read_only=True) as api:
        return deployment(api, topology, run, snapshot(api, run))


def provision(
    target: Target,
    topology: Topology,
    run: str,
    *,
    public_key: str,
    progress: Progress,
    keep: bool = False,
    deadlines: Deadlines | None = None,
) -> Deployment:
    """Make everything of ``topology`` that is missing, update what differs, and wait until it all runs.

    ``public_key`` (OpenSSH) may log in as root. Where everything is as it should be nothing is changed.
    On failure, ctrl-C included, what this call made is removed again unless ``keep``; what was there
    before stays. Raises ``UsageError`` before anything is made, ``ResourceError`` with the resource and
    the reason, ``WaitTimeoutError`` or ``ApiError`` later.
    """
    from harness.target.api import Api

    with Api(target) as api:
        apply(
            api,
            target,
            topology,
            run,
            public_key=public_key,
            progress=progress,
            keep=keep,
            deadlines=deadlines or Deadlines(),
        )
        return deployment(api, topology, run, snapshot(api, run))

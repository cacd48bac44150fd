"""Take a whole run away, and prove by asking that nothing of it is left."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial

from harness.core.errors import ResourceError
from harness.core.parallel import in_parallel
from harness.core.progress import Progress
from harness.provision.observe import Item, Observed, full_snapshot, snapshot
from harness.provision.ready import Deadlines
from harness.provision.remove import remove_machines, remove_rest
from harness.target.api import Api, optional
from harness.target.target import Target

ATTEMPTS = 3


def destroy(
    target: Target,
    run: str,
    *,
    progress: Progress,
    deadlines: Deadlines | None = None,
    agreed: Collection[Item] | None = None,
) -> None:
    """Remove everything of ``run``; returns when lists of every kind show nothing of it any more.

    With ``agreed`` it ends as soon as there is anything else. What somebody else is bound to stays as long as
    they do; the error names both. Raises ``ResourceError`` for what is left, ``WaitTimeoutError`` for what
    would not go.
    """
    limits = deadlines or Deadlines()
    with Api(target) as api:
        for _ in range(ATTEMPTS):  # what was still being made shows up in the next snapshot
            observed = _agreed_snapshot(api, run, agreed)
            if not observed.inventory():
                break
            with progress.step("remove"):
                remove_machines(api, observed, limits)
                # somebody may have come meanwhile; what was in the VPC is what it was known by
                observed = replace(observed, guests=_agreed_snapshot(api, run, agreed).guests)
                remove_rest(api, observed, limits)
            if observed.held:
                break
        remaining = snapshot(api, run)
        if not remaining.inventory():
            in_parallel([partial(optional, api.client.tags.delete, tag) for tag in remaining.leases])
    if remaining.inventory():
        raise ResourceError("run", run, _remaining(remaining))


def inspect(target: Target, run: str) -> Observed:
    """What there is of ``run``, and who else is bound to it; only reads."""
    with Api(target, read_only=True) as api:
        return full_snapshot(api, run)


def leftovers(target: Target, run: str) -> tuple[str, ...]:
    """What is left of ``run``, as text; empty once it is gone."""
    with Api(target, read_only=True) as api:
        return snapshot(api, run).inventory()


def _agreed_snapshot(api: Api, run: str, agreed: Collection[Item] | None) -> Observed:
    observed = full_snapshot(api, run)
    listed = {(each.kind, each.id or each.name) for each in agreed or ()}
    new = [str(each) for each in observed.items() if (each.kind, each.id or each.name) not in listed]
    if agreed is not None and new:
        raise ResourceError(
            "run",
            run,
            f"since the list was confirmed these were added: {', '.join(new)}; start again to see all",
        )
    return observed


def _remaining(remaining: Observed) -> str:
    because = "".join(f"\n  because of {each}" for each in remaining.guests)
    return f"still there: {', '.join(remaining.inventory())}{because}"

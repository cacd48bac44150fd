"""Take a whole run away, and prove by asking that nothing of it is left."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial

from harness.core.errors import ResourceError
from harness.core.parallel import in_parallel
from harness.core.progress import Progress
from harness.provision.observe import Item, Observed, look, look_closely
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
    they do: it and they are named. Raises ``ResourceError`` for what is left, ``WaitTimeoutError`` for what
    would not go.
    """
    limits = deadlines or Deadlines()
    with Api(target) as api:
        for _ in range(ATTEMPTS):  # what was still being made when we looked shows up in the next look
            seen = _look(api, run, agreed)
            if not seen.inventory():
                break
            with progress.step("remove"):
                remove_machines(api, seen, limits)
                # somebody may have come meanwhile; what was in the VPC is what it was known by
                seen = replace(seen, guests=_look(api, run, agreed).guests)
                remove_rest(api, seen, limits)
            if seen.held:
                break
        left = look(api, run)
        if not left.inventory():
            in_parallel([partial(optional, api.client.tags.delete, tag) for tag in left.leases])
    if left.inventory():
        raise ResourceError("run", run, _left(left))


def inspect(target: Target, run: str) -> Observed:
    """What there is of ``run``, and who else is bound to it; looks only."""
    with Api(target, read_only=True) as api:
        return look_closely(api, run)


def leftovers(target: Target, run: str) -> tuple[str, ...]:
    """What is there of ``run``, in words; empty once it is gone."""
    with Api(target, read_only=True) as api:
        return look(api, run).inventory()


def _look(api: Api, run: str, agreed: Collection[Item] | None) -> Observed:
    seen = look_closely(api, run)
    listed = {(each.kind, each.id or each.name) for each in agreed or ()}
    new = [str(each) for each in seen.items() if (each.kind, each.id or each.name) not in listed]
    if agreed is not None and new:
        raise ResourceError(
            "run", run, f"since the list was agreed to there came {', '.join(new)}; begin again to see all"
        )
    return seen


def _left(left: Observed) -> str:
    because = "".join(f"\n  because of {each}" for each in left.guests)
    return f"still there: {', '.join(left.inventory())}{because}"

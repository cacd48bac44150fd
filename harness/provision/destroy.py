"""Take a whole run away, and prove by asking that nothing of it is left."""

from __future__ import annotations

from harness.api import Api
from harness.errors import ResourceError
from harness.progress import Progress
from harness.provision.observe import look
from harness.provision.ready import Deadlines
from harness.provision.remove import remove
from harness.target import Target

ATTEMPTS = 3


def destroy(target: Target, run: str, *, progress: Progress, deadlines: Deadlines | None = None) -> None:
    """Remove everything of ``run``; returns when lists of every kind show nothing of it any more.

    Raises ``ResourceError`` naming what is left, or ``WaitTimeoutError`` for what would not go.
    """
    with Api(target) as api:
        for _ in range(ATTEMPTS):  # what was still being made when we looked shows up in the next look
            seen = look(api, run)
            if not seen.inventory():
                return
            with progress.step("remove"):
                remove(api, seen, deadlines or Deadlines())
        left = look(api, run).inventory()
    if left:
        raise ResourceError("run", run, f"still there: {', '.join(left)}")


def leftovers(target: Target, run: str) -> tuple[str, ...]:
    """What is there of ``run``, in words; empty once it is gone."""
    with Api(target, read_only=True) as api:
        return look(api, run).inventory()

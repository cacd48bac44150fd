"""Which runs there are on a target, whoever made them."""

from __future__ import annotations

from harness.api import Api
from harness.provision.account import ask
from harness.provision.owner import runs_of
from harness.target import Target


def runs(target: Target) -> tuple[str, ...]:
    """The names of all runs of which anything is left on ``target``, sorted."""
    with Api(target, read_only=True) as api:
        return runs_of(ask(api))

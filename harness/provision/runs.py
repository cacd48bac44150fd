"""Which runs there are on a target, whoever made them, and whether there is anything at all."""

from __future__ import annotations

from harness.provision.account import fetch
from harness.provision.owner import runs_of
from harness.target.api import Api
from harness.target.target import Target


def runs(target: Target) -> tuple[str, ...]:
    """The names of all runs of which anything is left on ``target``, sorted."""
    with Api(target, read_only=True) as api:
        return runs_of(fetch(api))


def is_empty(target: Target) -> bool:
    """Whether nobody has made anything on ``target``: no run, and no machine, network or key by hand."""
    with Api(target, read_only=True) as api:
        account = fetch(api)
    networks = [each for each in account.vpcs if not each.get("default")]
    made = (account.droplets, account.databases, account.firewalls, account.keys, networks)
    return not any(made) and not runs_of(account)

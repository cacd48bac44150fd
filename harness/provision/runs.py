"""Which runs there are on a target, whoever made them."""

from __future__ import annotations

from functools import partial

from harness.api import Api, every
from harness.names import run_of_name, run_of_tag
from harness.parallel import in_parallel
from harness.target import Target


def runs(target: Target) -> tuple[str, ...]:
    """The names of all runs of which anything is left on ``target``, sorted."""
    with Api(target, read_only=True) as api:
        client = api.client
        tags, *named = in_parallel(
            (
                partial(every, client.tags.list, "tags"),
                partial(every, client.vpcs.list, "vpcs"),
                partial(every, client.ssh_keys.list, "ssh_keys"),
                partial(every, client.firewalls.list, "firewalls"),
            )
        )
    found = {run_of_tag(tag["name"]) for tag in tags}
    found |= {run_of_name(each["name"]) for items in named for each in items}
    return tuple(sorted(run for run in found if run))

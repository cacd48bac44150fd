"""Everything of an account that a run could consist of, asked by six lists at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.core.parallel import in_parallel
from harness.target.api import Api, every

Body = dict[str, Any]
Bodies = tuple[Body, ...]


@dataclass(frozen=True)
class Account:
    """What there is, whoever made it, as the API shows it."""

    tags: Bodies = ()
    vpcs: Bodies = ()
    keys: Bodies = ()
    firewalls: Bodies = ()
    droplets: Bodies = ()
    databases: Bodies = ()


def fetch(api: Api) -> Account:
    """The account as it is now. Raises ``ApiError``."""
    client = api.client
    lists = in_parallel(
        (
            partial(every, client.tags.list, "tags"),
            partial(every, client.vpcs.list, "vpcs"),
            partial(every, client.ssh_keys.list, "ssh_keys"),
            partial(every, client.firewalls.list, "firewalls"),
            partial(every, client.droplets.list, "droplets"),
            partial(_databases, api),
        )
    )
    return Account(*map(tuple, lists))


def _databases(api: Api) -> list[Body]:
    return api.client.databases.list_clusters().get("databases") or []

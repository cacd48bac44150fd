"""A positive control for paths on which nothing is meant to answer: one port, opened for as long as a scan.

A firewall of the run admits it between the run's droplets. Nothing listens there, so a reset shows that the
path carries packets. Only droplets that another firewall covers already get it: one that none covers is open,
and covering it would close it. Its name belongs to the run, so ``down``, ``sweep`` and the next ``up`` remove
what a killed scan has left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from harness.core.names import resource_name
from harness.core.wait import NotYet, wait_for
from harness.provision.observe import snapshot
from harness.provision.ready import Deadlines, longest_pause
from harness.target.api import Api, every, optional
from harness.target.target import Target
from harness.topology.deployment import Node

PORT = 7  # echo: outdated for decades, so nothing listens and no plan names it
NAME = "scan-control"
DROPLETS_PER_FIREWALL = 10

Body = dict[str, Any]


@contextmanager
def admitted(
    target: Target, run: str, nodes: Mapping[str, Node], *, others: Sequence[str] = ()
) -> Iterator[None]:
    """Admit the control port between ``nodes``, outbound, and inbound from the CIDRs ``others``.

    In force when the block begins, gone when this returns. Raises ``ApiError`` or ``WaitTimeoutError``.
    """
    limits = Deadlines()
    with Api(target) as api:
        _remove_all(api, target, run, limits)
        try:
            made = [
                api.client.firewalls.create(body=each)["firewall"] for each in bodies(api, run, nodes, others)
            ]
            _await_in_force(api, target, made, limits)
            yield
        finally:
            _remove_all(api, target, run, limits)


def bodies(api: Api, run: str, nodes: Mapping[str, Node], others: Sequence[str]) -> list[Body]:
    """The firewalls to make: of ten droplets each, none where no droplet is covered."""
    covered = sorted({node.id for node in nodes.values()} & _covered(api))
    groups = [
        covered[start : start + DROPLETS_PER_FIREWALL]
        for start in range(0, len(covered), DROPLETS_PER_FIREWALL)
    ]
    ids = sorted(node.id for node in nodes.values())
    sources: Body = {"droplet_ids": ids, "addresses": list(others)}
    return [
        {
            "name": resource_name(run, f"{NAME}-{number}"),
            "inbound_rules": [{"protocol": "tcp", "ports": str(PORT), "sources": _given(sources)}],
            "outbound_rules": [
                {"protocol": "tcp", "ports": str(PORT), "destinations": {"addresses": ["0.0.0.0/0"]}}
            ],
            "droplet_ids": group,
        }
        for number, group in enumerate(groups, start=1)
    ]


def _covered(api: Api) -> set[int]:
    """The droplets that some firewall of the account covers, by id or by tag."""
    firewalls = every(api.client.firewalls.list, "firewalls")
    tags = {tag for each in firewalls for tag in each.get("tags") or ()}
    droplets = every(api.client.droplets.list, "droplets") if tags else []
    by_id = {number for each in firewalls for number in each.get("droplet_ids") or ()}
    return by_id | {each["id"] for each in droplets if tags & set(each["tags"])}


def _given(peers: Mapping[str, Iterable[Any]]) -> Body:
    return {name: list(each) for name, each in peers.items() if each}


def _await_in_force(api: Api, target: Target, made: Sequence[Body], limits: Deadlines) -> None:
    def probe() -> None:
        for each in made:
            now = api.client.firewalls.get(each["id"])["firewall"]
            if now["status"] != "succeeded" or now.get("pending_changes"):
                raise NotYet(f"{now['name']} is {now['status']}")

    pause = longest_pause(target)
    wait_for("the control's firewall to be applied", probe, deadline=limits.firewalls, max_pause=pause)


def _remove_all(api: Api, target: Target, run: str, limits: Deadlines) -> None:
    """Remove every control of the run, one of a killed scan too, and wait until they are gone."""

    def probe() -> None:
        there = [
            each
            for each in snapshot(api, run).firewalls
            if each["name"].startswith(resource_name(run, f"{NAME}-"))
        ]
        for each in there:
            optional(api.client.firewalls.delete, each["id"])
        if there:
            raise NotYet(", ".join(each["name"] for each in there))

    pause = longest_pause(target)
    wait_for("the control's firewalls to be gone", probe, deadline=limits.firewalls, max_pause=pause)

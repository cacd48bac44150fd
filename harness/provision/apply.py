"""Carry a plan out, in the order in which things need each other, side by side where they don't.

Tags come first, then VPC and SSH key; then the firewalls, all by tag, and the databases; and the droplets
last, so that none ever runs uncovered. Nobody waits for a database before the droplets are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from harness.core.errors import ApiError, ResourceError
from harness.core.names import key_mark, resource_name
from harness.core.parallel import in_parallel
from harness.core.progress import Progress
from harness.provision.check import check
from harness.provision.desired import BOOTSTRAP, bootstrap, bootstrap_tags, coverable, desired, firewalls
from harness.provision.observe import Body, Observed, snapshot
from harness.provision.plan import Change, Kind, Plan, droplets_by_node, make_plan
from harness.provision.ready import Deadlines, wait_until_ready
from harness.provision.remove import remove_new
from harness.target.api import Api
from harness.target.target import Target
from harness.topology.model import Topology

__all__ = ["Deadlines", "apply"]

WORDS: dict[Kind, str] = {"ssh_key": "ssh key", "trusted_sources": "trusted sources of database"}
Job = Callable[[], Any]


def apply(
    api: Api,
    target: Target,
    topology: Topology,
    run: str,
    *,
    public_key: str,
    progress: Progress,
    keep: bool,
    deadlines: Deadlines,
) -> None:
    """Bring the run to what the topology says and wait until everything runs; see ``provision``."""
    before = snapshot(api, run)
    plan = make_plan(target, topology, run, before, public_key)
    check(api, topology, plan)
    with removing_on_failure(api, run, before, progress, deadlines, keep=keep):
        if not plan.empty:
            _Work(api, target, topology, run, public_key=public_key, before=before, plan=plan).do()
        wait_until_ready(api, target, topology, run, deadlines, changed=not plan.empty)


@contextmanager
def removing_on_failure(
    api: Api, run: str, before: Observed, progress: Progress, deadlines: Deadlines, *, keep: bool
) -> Iterator[None]:
    """On any failure, ctrl-C too, take away what was not there ``before``, unless ``keep``."""
    try:
        yield
    except BaseException:
        if not keep:
            with progress.step("remove what was begun"):
                remove_new(api, run, before, deadlines)
        raise


class _Work:
    """What the steps of carrying a plan out share."""

    def __init__(
        self,
        api: Api,
        target: Target,
        topology: Topology,
        run: str,
        *,
        public_key: str,
        before: Observed,
        plan: Plan,
    ) -> None:
        self.client, self.target, self.topology, self.run = api.client, target, topology, run
        self.public_key, self.before, self.plan = public_key, before, plan
        self.wanted = desired(topology, run)
        self.vpc: Body = before.vpc or {}
        self.key: Body = before.key or {}

    def do(self) -> None:
        """Every step, in order; the jobs of one step run at once."""
        in_parallel(self._jobs("create", "tag", call=self._tag))
        in_parallel([self._make_vpc, self._make_key])
        in_parallel(
            [
                *self._jobs("create", "firewall", call=self._create_firewall),
                *self._jobs("update", "firewall", call=self._update_firewall),
                *self._jobs("create", "database", call=self._database),
                *self._jobs("update", "trusted_sources", call=self._trust),
            ]
        )
        in_parallel(
            [
                *self._jobs("create", "droplet", call=self._droplet),
                *self._jobs("update", "droplet", call=self._power_on),
                *self._jobs("delete", "droplet", call=lambda each: self.client.droplets.destroy(each.id)),
                *self._jobs("delete", "firewall", call=lambda each: self.client.firewalls.delete(each.id)),
            ]
        )
        in_parallel(self._jobs("delete", "tag", call=lambda each: self.client.tags.delete(each.id)))

    def _jobs(self, action: Any, *kinds: Kind, call: Callable[[Change], Any]) -> list[Job]:
        return [partial(_named, change, call) for change in self.plan.of(action, *kinds)]

    def _tag(self, change: Change) -> None:
        self.client.tags.create(body={"name": change.name})

    def _make_vpc(self) -> None:
        for change in self.plan.of("create", "vpc"):
            answer = _named(change, lambda _: self.client.vpcs.create(body=self.wanted.vpc))
            self.vpc = answer["vpc"]

    def _make_key(self) -> None:
        marked = " ".join((*self.public_key.split()[:2], key_mark(self.run)))
        body = {"name": resource_name(self.run), "public_key": marked}
        for change in self.plan.of("update", "ssh_key"):
            _named(change, lambda each: self.client.ssh_keys.delete(each.id))
        for change in (*self.plan.of("create", "ssh_key"), *self.plan.of("update", "ssh_key")):
            answer = _named(change, lambda _: self.client.ssh_keys.create(body=body))
            self.key = answer["ssh_key"]

    def _firewall(self, name: str) -> Body:
        if name != resource_name(self.run, BOOTSTRAP):
            vpc_range = self.vpc["ip_range"]
            return firewalls(self.topology, self.run, vpc_range, self.target.operators)[name]
        there = [each for each in self.before.firewalls if each["name"] == name]
        nodes = droplets_by_node(self.before, self.run)
        missing = [
            node for node in self.topology.droplets if node in coverable(self.topology) and node not in nodes
        ]
        tags = bootstrap_tags(self.topology, self.run, missing)
        return bootstrap(self.run, {*tags, *(tag for each in there for tag in each["tags"] or ())})

    def _create_firewall(self, change: Change) -> None:
        self.client.firewalls.create(body=self._firewall(change.name))

    def _update_firewall(self, change: Change) -> None:
        self.client.firewalls.update(change.id, body=self._firewall(change.name))

    def _database(self, change: Change) -> None:
        body = self.wanted.databases[change.name] | {"private_network_uuid": self.vpc["id"]}
        self.client.databases.create_cluster(body=body)

    def _trust(self, change: Change) -> None:
        rules = self.wanted.databases[change.name]["rules"]
        self.client.databases.update_firewall_rules(change.id, body={"rules": rules})

    def _droplet(self, change: Change) -> None:
        ids = {"vpc_uuid": self.vpc["id"], "ssh_keys": [self.key["id"]]}
        self.client.droplets.create(body=self.wanted.droplets[change.name] | ids)

    def _power_on(self, change: Change) -> None:
        self.client.droplet_actions.post(change.id, body={"type": "power_on"})


def _named(change: Change, call: Callable[[Change], Any]) -> Any:
    """Let an error say which resource it is about."""
    try:
        return call(change)
    except ApiError as error:
        raise ResourceError(
            WORDS.get(change.kind, change.kind), change.name, f"{change.action}: {error}"
        ) from error

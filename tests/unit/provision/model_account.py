"""An account on the memory plane, used through its API, and what must hold of it at any time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from emulator.api.app import Api
from emulator.api.http import make_request
from emulator.cloud.core import Cloud, Limits
from emulator.cloud.models import Database, Droplet, Firewall
from emulator.cloud.policy import network_policy
from emulator.planes.base import MemberPolicy
from emulator.planes.memory import MemoryPlane

HEADERS = {"Authorization": "Bearer any", "Content-Type": "application/json"}
DROPLET = {"region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
DATABASE = {"engine": "pg", "region": "fra1", "size": "db-s-1vcpu-1gb", "num_nodes": 1}
LISTS = ("droplets", "firewalls", "tags", "databases", "actions")
MOST_DROPLETS = 12
Body = dict[str, Any]


class Account:
    """A cloud whose work is done when told, in a directory that outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.databases_made = 0
        self.given: set[tuple[str, str]] = set()
        self.ended: dict[int, str] = {}
        self._open()

    # -- what is done to it

    def call(self, method: str, path: str, body: Any = None) -> Body:
        """One request; whatever it is, the answer is none of ours failing."""
        data = b"" if body is None else json.dumps(body).encode()
        url = f"https://api.digitalocean.com/v2/{path}"
        answer = self.api.handle(make_request(method, url, HEADERS, data))
        assert answer.status < 500 or answer.status == 501, f"{method} {path} {body}: {answer.body}"
        return {"status": answer.status, **(answer.body or {})}

    def make_droplets(self, names: Sequence[str], tags: Sequence[str]) -> None:
        """Several droplets at once."""
        many = {"names": list(names), **DROPLET, "tags": list(tags)}
        answer = self.call("POST", "droplets", many)
        over = len(self.listed("droplets")) > MOST_DROPLETS
        assert not over, "more droplets than the account may have"
        for droplet in answer.get("droplets", ()):
            self._new("droplet", droplet["id"])

    def ids(self, places: Iterable[int]) -> list[int]:
        """Ids of droplets that are there."""
        there = [droplet["id"] for droplet in self.listed("droplets")]
        return list(dict.fromkeys(there[place % len(there)] for place in places)) if there else []

    def on_droplet(self, place: int, change: Callable[[int], object]) -> None:
        """Do something to one of the droplets, if there is one."""
        for number in self.ids([place]):
            change(number)

    def wall(self, name: str) -> str:
        """The path of a firewall, empty if there is none of that name."""
        found = [one["id"] for one in self.listed("firewalls") if one["name"] == name]
        return f"firewalls/{found[0]}" if found else ""

    def put_firewall(
        self, name: str, *, inbound: list[Any], outbound: list[Any], places: list[int], tags: list[str]
    ) -> None:
        """Make a firewall or replace it."""
        body = {
            "name": name,
            "inbound_rules": self._rules(inbound, "sources"),
            "outbound_rules": self._rules(outbound, "destinations"),
            "droplet_ids": self.ids(places),
            "tags": tags,
        }
        path = self.wall(name)
        answer = self.call("PUT", path, body) if path else self.call("POST", "firewalls", body)
        if answer["status"] == 202:
            self._new("firewall", answer["firewall"]["id"])

    def add_rules(self, path: str, inbound: list[Any], copies: int) -> None:
        """Add rules, each several times with ports of its own."""
        rules = self._rules(inbound, "sources")
        many = [{**each, "ports": str(100 + copy)} for each in rules for copy in range(copies)]
        self.call("POST", f"{path}/rules", {"inbound_rules": many})

    def remove_rule(self, path: str, place: int) -> None:
        """Remove a rule in the words it is shown in; only the last one must stay."""
        shown = self.call("GET", path)["firewall"]
        sides = [(side, each) for side in ("inbound_rules", "outbound_rules") for each in shown[side]]
        if not sides:
            return
        side, each = sides[place % len(sides)]
        answer = self.call("DELETE", f"{path}/rules", {side: [each]})
        assert answer["status"] == (422 if len(sides) == 1 else 204), f"{each}: {answer}"

    def put_back(self, path: str) -> None:
        """What a GET gave, a PUT takes, and nothing changes."""
        shown = self.call("GET", path)["firewall"]
        if not shown["inbound_rules"] and not shown["outbound_rules"]:
            return
        answer = self.call("PUT", path, shown)
        assert answer["status"] == 200, f"{shown}: {answer}"
        kept = ("id", "name", "inbound_rules", "outbound_rules", "droplet_ids", "tags", "created_at")
        assert [answer["firewall"][key] for key in kept] == [shown[key] for key in kept]

    def move_tag(self, tag: str, places: Iterable[int], method: str) -> None:
        """Give a tag to droplets, or take it from them."""
        resources = [{"resource_type": "droplet", "resource_id": str(one)} for one in self.ids(places)]
        self.call(method, f"tags/{tag}/resources", {"resources": resources})

    def make_database(self, tags: Sequence[str]) -> None:
        """A cluster."""
        self.databases_made += 1
        answer = self.call(
            "POST", "databases", {**DATABASE, "name": f"db{self.databases_made}", "tags": tags}
        )
        self._new("database", answer["database"]["id"])

    def trust(self, tags: Sequence[str], places: Iterable[int], *, address: bool) -> None:
        """Replace the trusted sources of the first cluster."""
        rules = [{"type": "tag", "value": tag} for tag in tags]
        rules += [{"type": "droplet", "value": str(one)} for one in self.ids(places)]
        rules += [{"type": "ip_addr", "value": "192.0.2.10"}] if address else []
        for database in self.listed("databases")[:1]:
            self.call("PUT", f"databases/{database['id']}/firewall", {"rules": rules})

    def advance(self, count: int | None = None) -> None:
        """Do some of the work that waits, or all of it."""
        self.cloud.advance(count)

    def finish(self) -> None:
        """Do all of the work, and what it leads to."""
        while self.cloud.advance():
            pass

    def break_plane(self, fault: str) -> None:
        """Let something fail."""
        self.plane.faults[fault] = "out of order"

    def lift_faults(self) -> None:
        """Let nothing fail, and apply what could not be."""
        self.plane.faults.clear()
        with self.cloud.store.transaction():
            self.cloud.network.changed()

    def reopen(self) -> None:
        """Close and open it: what it answers is what it answered, but that all rules are in force now."""
        self.plane.faults.pop("apply", None)
        before = self._told()
        self.close()
        self._open()
        after = self._told()
        assert after == before

    def close(self) -> None:
        """Let go."""
        self.cloud.close()

    # -- what must hold of it

    def listed(self, kind: str) -> list[Body]:
        """All of a kind, page by page: each once, as many as there are said to be."""
        found: list[Body] = []
        path = f"{kind}?per_page=7"
        while path:
            answer = self.call("GET", path)
            found += answer[kind]
            following = answer.get("links", {}).get("pages", {}).get("next", "")
            path = following.partition("/v2/")[2]
        if kind != "databases":
            assert len(found) == answer["meta"]["total"]
        keys = [one["name"].lower() if kind == "tags" else one["id"] for one in found]
        assert len(set(keys)) == len(keys), f"the same twice: {kind}"
        return found

    def check(self) -> None:
        """Everything that holds at any time."""
        droplets, firewalls, tags, databases, actions = (self.listed(kind) for kind in LISTS)
        there = {one["id"] for one in droplets}
        names = {tag["name"].lower() for tag in tags}
        for each in (*droplets, *databases):
            assert {tag.lower() for tag in each["tags"]} <= names, f"a tag that is gone: {each}"
        self._check_counts(tags, droplets, databases)
        for firewall in firewalls:
            self._check_firewall(firewall, droplets, there, names)
        self._check_cover(droplets, firewalls)
        self._check_databases(databases, names)
        self._check_actions(actions, droplets)
        self._check_policy()

    def check_settled(self) -> None:
        """What holds when nothing is under way and nothing fails."""
        for firewall in self.listed("firewalls"):
            assert (firewall["status"], firewall["pending_changes"]) == ("succeeded", []), firewall
        assert not self.cloud.jobs.busy()
        states = self.plane.existing().machines
        shown = {f"droplet:{one['id']}": one for one in self.listed("droplets")}
        assert {ref for ref in states if ref.startswith("droplet:")} <= shown.keys()
        for ref, droplet in shown.items():
            assert not droplet["locked"], droplet
            running = states.get(ref) == "running"
            assert droplet["status"] == ("active" if running else "off"), droplet
        assert all(action["status"] != "in-progress" for action in self.listed("actions"))

    def _check_counts(self, tags: list[Body], droplets: list[Body], databases: list[Body]) -> None:
        for tag in tags:
            name = tag["name"].lower()
            counted = {
                kind: sum(name in map(str.lower, one["tags"]) for one in found)
                for kind, found in (("droplets", droplets), ("databases", databases))
            }
            told = {kind: tag["resources"][kind]["count"] for kind in counted}
            assert told == counted
            assert tag["resources"]["count"] == sum(counted.values())

    def _check_firewall(self, firewall: Body, droplets: list[Body], there: set[int], names: set[str]) -> None:
        rules = [*firewall["inbound_rules"], *firewall["outbound_rules"]]
        assert len(rules) <= 50
        assert len(firewall["droplet_ids"]) <= 10
        assert len(firewall["tags"]) <= 5
        peers = [each.get("sources") or each.get("destinations") or {} for each in rules]
        assert all(peers), f"a rule about nobody: {firewall}"
        named = {
            tag.lower() for tag in (*firewall["tags"], *(tag for one in peers for tag in one.get("tags", ())))
        }
        assert named <= names, f"a tag that is gone: {firewall}"
        ids = {*firewall["droplet_ids"], *(each for one in peers for each in one.get("droplet_ids", ()))}
        assert ids <= there, f"a droplet that is gone: {firewall}"
        pending = {change["droplet_id"] for change in firewall["pending_changes"]}
        assert pending <= there
        assert (firewall["status"] == "succeeded") == (not pending)
        assert self._late(firewall, droplets) <= pending, f"not in force yet: {firewall}"

    def _check_cover(self, droplets: list[Body], firewalls: list[Body]) -> None:
        for droplet in droplets:
            told = self.call("GET", f"droplets/{droplet['id']}/firewalls")["firewalls"]
            tags = {tag.lower() for tag in droplet["tags"]}
            covering = {
                one["id"]
                for one in firewalls
                if droplet["id"] in one["droplet_ids"] or tags & {tag.lower() for tag in one["tags"]}
            }
            assert {one["id"] for one in told} == covering

    def _check_databases(self, databases: list[Body], names: set[str]) -> None:
        for database in databases:
            rules = self.call("GET", f"databases/{database['id']}/firewall")["rules"]
            assert {rule["value"].lower() for rule in rules if rule["type"] == "tag"} <= names
            assert len({rule["uuid"] for rule in rules}) == len(rules)

    def _check_actions(self, actions: list[Body], droplets: list[Body]) -> None:
        running = [action for action in actions if action["status"] == "in-progress"]
        busy = [action["resource_id"] for action in running]
        assert len(set(busy)) == len(busy), "two actions at once on a droplet"
        assert set(busy) == {one["id"] for one in droplets if one["locked"]}
        for action in actions:
            assert (action["completed_at"] is None) == (action["status"] == "in-progress")
            before = self.ended.get(action["id"], action["status"])
            assert action["status"] == before, f"an action that ended changed: {action}"
            if action["status"] != "in-progress":
                self.ended[action["id"]] = action["status"]

    def _check_policy(self) -> None:
        """What is asked of the plane: a covered droplet gets only what a rule of its firewalls says."""
        droplets, firewalls = self.cloud.store.all(Droplet), self.cloud.store.all(Firewall)
        wanted = self._wanted()
        for droplet in (one for one in droplets if not one.deleted):
            tags = {tag.lower() for tag in droplet.tags}
            mine = [
                wall
                for wall in firewalls
                if droplet.id in wall.droplet_ids or tags & {tag.lower() for tag in wall.tags}
            ]
            member = wanted[droplet.ref]
            assert member.covered == bool(mine), "default deny depends on being covered, and on nothing else"
            allowed = {wall.name for wall in mine}
            assert {gate.firewall for gate in (*member.inbound, *member.outbound)} <= allowed
        for database in self.cloud.store.all(Database):
            if not database.deleted:
                self._check_database_gates(database, wanted[database.ref])

    def _check_database_gates(self, database: Database, member: MemberPolicy) -> None:
        assert member.covered
        assert member.outbound == ()
        for gate in member.inbound:
            assert (gate.protocol, gate.ports) == ("tcp", (database.port, database.port))
            assert not database.rules or "0.0.0.0/0" not in gate.peers

    def _wanted(self) -> dict[str, MemberPolicy]:
        store = self.cloud.store
        droplets = [one for one in store.all(Droplet) if not one.deleted]
        databases = [one for one in store.all(Database) if not one.deleted]
        policy = network_policy(0, droplets, databases, store.all(Firewall))
        return {member.ref: member for member in policy.members}

    def _late(self, firewall: Body, droplets: list[Body]) -> set[int]:
        """Droplets that a firewall covers, on which the plane does not enforce what is asked for."""
        wanted, tags = self._wanted(), {tag.lower() for tag in firewall["tags"]}
        enforced = {member.ref: member for member in self.plane.policy.members}
        return {
            one["id"]
            for one in droplets
            if one["id"] in firewall["droplet_ids"] or tags & {tag.lower() for tag in one["tags"]}
            if wanted[f"droplet:{one['id']}"] != enforced.get(f"droplet:{one['id']}")
        }

    def _told(self) -> dict[str, Any]:
        """All answers, without what a reopening may change: rules that could not be applied are in force."""
        with self.cloud.store.transaction():
            self.cloud.network.changed()
        told: dict[str, Any] = {kind: self.listed(kind) for kind in LISTS}
        told["account"] = self.call("GET", "account")["account"]
        told["vpcs"] = self.call("GET", "vpcs")["vpcs"]
        told["rules"] = [self.call("GET", f"databases/{one['id']}/firewall") for one in told["databases"]]
        return told

    def _rules(self, wanted: Iterable[tuple[str, str, Body]], side: str) -> list[Body]:
        found = []
        for protocol, ports, peers in wanted:
            named = {"droplet_ids": self.ids(peers["droplets"])} if "droplets" in peers else peers
            found.append({"protocol": protocol, "ports": ports, side: named})
        return found

    def _new(self, kind: str, id_: object) -> None:
        assert (kind, str(id_)) not in self.given, f"the id {id_} was given twice"
        self.given.add((kind, str(id_)))

    def _open(self) -> None:
        faults = getattr(self, "plane", MemoryPlane()).faults
        self.plane = MemoryPlane(faults=faults, state=self.folder / "plane.json")
        limits = Limits(droplets=MOST_DROPLETS)
        self.cloud = Cloud(self.folder / "state.db", self.plane, transitions="manual", limits=limits)
        self.cloud.start()
        self.api = Api(self.cloud, any_token=True)

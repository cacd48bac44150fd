"""An emulator with a few real machines, its API, and a wire that sends and records packets between them."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import docker
import httpx
from model_wire import EDGE, FABRIC, Seen, Shape, Wire
from serving import Served, start
from tank import guest_namespace

from emulator.docker.droplet import inside
from emulator.docker.engine import execute
from emulator.docker.fabric.layout import INTERNET
from emulator.docker.records import Records
from emulator.statedir import instance
from harness.core.wait import NotYet, wait_for

Side = Literal["private", "public"]
Verdict = Literal["open", "closed", "passed", "filtered"]
SIDES: tuple[Side, ...] = ("private", "public")
CANARY, KEPT = "canary", "wavetank:"
BOOT, APPLY = 120.0, 10.0
ANYWHERE: dict[str, Any] = {"addresses": ["0.0.0.0/0"]}
DROPLET = {"region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
DATABASE = {"engine": "valkey", "region": "fra1", "size": "db-s-1vcpu-1gb", "num_nodes": 1}


@dataclass(frozen=True)
class Machine:
    """A machine: ``ref`` is the emulator's name for it, ``number`` the API's id."""

    name: str
    ref: str
    number: str
    private: str
    public: str
    port: int = 0

    def address(self, side: Side) -> str:
        """Its address on that side, empty if it has none."""
        return self.private if side == "private" else self.public


def rule(protocol: str, ports: str, side: str, **peers: Any) -> dict[str, Any]:
    """A rule as a client sends it; ``side`` is sources or destinations, peers default to everybody."""
    return {"protocol": protocol, "ports": ports, side: peers or ANYWHERE}


@dataclass
class Rig:
    """One emulator and what runs in it. ``calls`` are the API calls that changed something, to be shown."""

    state: Path
    served: Served
    https: httpx.Client
    engine: docker.DockerClient
    wire: Wire
    machines: dict[str, Machine] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    @classmethod
    def new(cls, state: Path) -> Rig:
        """A fresh emulator, with taps at its edge and in its fabric."""
        served = start(state, plane="docker")
        engine = docker.from_env()
        wire = Wire(f"wt-{instance(state)}-fabric")
        wire.open("internet", EDGE)
        wire.open("fabric", FABRIC, everything=True)
        return cls(state, served, _client(served), engine, wire)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One API call; its answer, which must be a good one."""
        answer = self.https.request(method, f"/v2/{path}", json=body)
        if method != "GET":
            self.calls.append(f"{method} /v2/{path} {'' if body is None else body} -> {answer.status_code}")
        assert answer.is_success, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else {}

    def add(self, *names: str, **changes: Any) -> None:
        """Make droplets, all at once, and open their namespaces."""
        made = [self.call("POST", "droplets", {**DROPLET, "name": name, **changes}) for name in names]
        for name, answer in zip(names, made, strict=True):
            shown = self.settled(answer["droplet"]["id"])
            addresses = {one["type"]: one["ip_address"] for one in shown["networks"]["v4"]}
            number = str(shown["id"])
            self.machines[name] = Machine(
                name, f"droplet:{number}", number, addresses["private"], addresses.get("public", "")
            )
            self.enter(name)

    def add_database(self, name: str, **changes: Any) -> None:
        """Make a database cluster and open its namespace."""
        made = self.call("POST", "databases", {**DATABASE, "name": name, **changes})["database"]

        def online() -> dict[str, Any]:
            shown: dict[str, Any] = self.call("GET", f"databases/{made['id']}")["database"]
            if shown["status"] != "online":
                raise NotYet(shown["status"])
            return shown

        shown = wait_for(f"{name} to be online", online, deadline=BOOT)
        ref = f"database:{shown['id']}"
        links = self._addresses(ref)
        port = shown["connection"]["port"]
        self.machines[name] = Machine(name, ref, shown["id"], links["eth1"], links["eth0"], port)
        self.enter(name)

    def enter(self, name: str) -> None:
        """Open a machine's namespace, anew after it was started."""
        self.wire.open(name, self.path(name))

    def path(self, name: str) -> str:
        """A machine's network namespace, as the fabric's container sees it."""
        pid = self._inspect(name)["State"]["Pid"]
        if not self.machines[name].ref.startswith("droplet:"):
            return f"/proc/{pid}/ns/net"
        return guest_namespace(self.engine, f"wt-{instance(self.state)}-fabric", pid)

    def leave(self, name: str) -> None:
        """Close a machine's namespace: an open one would outlive the machine."""
        self.wire.call("close", name=name)

    def settled(self, number: int | str) -> dict[str, Any]:
        """A droplet once nothing is done to it any more."""

        def probe() -> dict[str, Any]:
            shown: dict[str, Any] = self.call("GET", f"droplets/{number}")["droplet"]
            if shown["locked"] or shown["status"] == "new":
                raise NotYet(f"{shown['status']}, locked: {shown['locked']}")
            return shown

        return wait_for(f"droplet {number} to be settled", probe, deadline=BOOT, first_pause=0.02)

    def act(self, name: str, type_: str, **arguments: Any) -> None:
        """A droplet action, to its end."""
        body = {"type": type_, **arguments}
        number = self.call("POST", f"droplets/{self.machines[name].number}/actions", body)["action"]["id"]

        def ended() -> None:
            status = self.call("GET", f"actions/{number}")["action"]["status"]
            if status == "in-progress":
                raise NotYet(status)
            assert status == "completed", f"{type_} of {name}: {status}"

        wait_for(f"{type_} of {name}", ended, deadline=BOOT, first_pause=0.02, max_pause=0.2)

    def firewalls(self) -> list[dict[str, Any]]:
        """All firewalls, once each is in force."""

        def in_force() -> list[dict[str, Any]]:
            shown: list[dict[str, Any]] = self.call("GET", "firewalls?per_page=200")["firewalls"]
            late = [one for one in shown if one["status"] != "succeeded" or one["pending_changes"]]
            if late:
                raise NotYet(f"{late[0]['name']}: {late[0]['status']} {late[0]['pending_changes']}")
            return shown

        return wait_for(
            "the firewalls to be in force", in_force, deadline=APPLY, first_pause=0.005, max_pause=0.05
        )

    def in_force(self) -> None:
        """Wait until all that was asked for is in force, of what says nothing itself, too.

        Deleted firewalls and databases don't. A canary's firewall is changed last; when that is in force,
        what was asked for before is.
        """
        ports = str(1 + len(self.calls) % 60000)
        body = self.wall(CANARY, CANARY, inbound=[rule("tcp", ports, "sources")])
        shown = self.call("GET", "firewalls?per_page=200")["firewalls"]
        canary = next(one["id"] for one in shown if one["name"] == CANARY)
        self.call("PUT", f"firewalls/{canary}", body)
        self.firewalls()

    def clear(self) -> None:
        """Remove every firewall and tag, trust everybody, and see it in force."""
        for firewall in self.call("GET", "firewalls?per_page=200")["firewalls"]:
            if firewall["name"] != CANARY:
                self.call("DELETE", f"firewalls/{firewall['id']}")
        for tag in self.call("GET", "tags?per_page=200")["tags"]:
            if not tag["name"].startswith(KEPT):
                self.call("DELETE", f"tags/{tag['name']}")
        for machine in self.machines.values():
            if machine.port:
                self.call("PUT", f"databases/{machine.number}/firewall", {"rules": []})
        self.in_force()

    def wall(self, name: str, *droplets: str, **rest: Any) -> dict[str, Any]:
        """A firewall's body, on droplets by name; ``rest``: ``inbound``, ``outbound`` rules and ``tags``."""
        return {
            "name": name,
            "droplet_ids": [int(self.machines[one].number) for one in droplets],
            "inbound_rules": rest.get("inbound", []),
            "outbound_rules": rest.get("outbound", []),
            "tags": rest.get("tags", []),
        }

    def shape(
        self,
        source: str,
        target: str,
        protocol: str,
        port: int = 0,
        /,
        *,
        side: Side = "private",
        **changes: Any,
    ) -> Shape:
        """A packet between two of the machines (or from ``internet``), from the address of that side."""
        address = INTERNET if source == "internet" else self.machines[source].address(side)
        where = INTERNET if target == "internet" else self.machines[target].address(side)
        plain = {"from": source, "source": address, "to": where, "protocol": protocol, "port": port}
        return {**plain, **changes}

    def verdicts(self, shapes: Sequence[Shape]) -> list[Verdict]:
        """Send a packet of each shape; what became of each, by both evidence sources: fabric and receiver.

        What arrives must be seen by the receiver, and TCP and ICMP be answered.
        """
        far = next(one.name for one in self.machines.values() if one.public)
        fence = self.shape("internet", far, "udp", 9, side="public")
        since = self.wire.counts()
        numbers = self.wire.send([*shapes, fence])
        pairs = list(zip(shapes, numbers, strict=False))

        def witnessed() -> list[Verdict]:
            news = _by_number(self.wire.news(since))
            # One processor sends and forwards in order: what came before the fence is done with.
            if numbers[-1] not in news:
                raise NotYet("packets are under way")
            return [self._verdict(shape, news.get(number, frozenset())) for shape, number in pairs]

        return wait_for(
            "what becomes of packets", witnessed, deadline=APPLY, first_pause=0.002, max_pause=0.05
        )

    def _verdict(self, shape: Shape, told: frozenset[tuple[str, str, str]]) -> Verdict:
        def said(where: str, way: str) -> set[str]:
            return {kind for tap, went, kind in told if (tap, went) == (where, way)}

        if not said("fabric", "out"):
            return "filtered"
        if not said(self.owner(shape["to"]), "in"):
            raise NotYet(f"the fabric let {shape} pass, and the receiver has not seen it")
        answers = {"tcp": {"open", "closed"}, "icmp": {"reply"}}.get(shape["protocol"], set())
        given = answers & said(shape["from"], "in")
        if answers and not given:
            raise NotYet(f"{shape} arrived and was not answered")
        return "closed" if "closed" in given else "open" if "open" in given else "passed"

    def owner(self, address: str) -> str:
        """Whose address that is."""
        known = {one.address(side): one.name for one in self.machines.values() for side in SIDES}
        return known.get(address, "internet")

    def link(self, name: str, side: Side) -> str:
        """The fabric's end of a machine's link."""
        kind, _, number = self.machines[name].ref.partition(":")
        key = f"d{number}" if kind == "droplet" else f"b{number.replace('-', '')[:12]}"
        return f"{key}e{0 if side == 'public' else 1}"

    def run(self, name: str, *argv: str) -> str:
        """Run a program in a machine; its output."""
        command = inside(argv) if self.machines[name].ref.startswith("droplet:") else list(argv)
        code, output = execute(self.engine, self.container(name), command)
        assert code == 0, output.decode()
        return output.decode()

    def container(self, name: str) -> str:
        """A machine's container."""
        return f"wt-{instance(self.state)}-{self.machines[name].ref.replace(':', '-')}"

    def counters(self) -> list[dict[str, Any]]:
        """The fabric's counters."""
        answer = self.https.get("/_wavetank/counters")
        return list(answer.json()["counters"])

    def counted(self, name: str, gate: str, verdict: str) -> int:
        """Packets counted at a gate of a machine, or, ``all``, by the fabric itself."""
        ref = name if name == "all" else self.machines[name].ref
        rows = [row for row in self.counters() if (row["ref"], row["gate"]) == (ref, gate)]
        return sum(int(row["packets"]) for row in rows if row["verdict"] == verdict)

    def restart(self) -> None:
        """kill -9 of the emulator, and a new one."""
        self.served.kill()
        self.https.close()
        self.served = start(self.state, plane="docker")
        self.https = _client(self.served)

    def destroy(self) -> None:
        """Take everything down."""
        self.wire.close()
        self.https.close()
        self.engine.close()
        self.served.kill()
        _destroy(self.state)

    def _inspect(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.engine.api.inspect_container(self.container(name))
        return found

    def _addresses(self, ref: str) -> dict[str, str]:
        machine = Records(self.state).get(ref)
        assert machine is not None
        return {link.device: link.ip for link in machine.links}


@contextmanager
def rig(state: Path, droplets: Sequence[str], **changes: Any) -> Iterator[Rig]:
    """A rig with these droplets, taken down afterwards."""
    try:
        made = Rig.new(state)
    except BaseException:
        _destroy(state)
        raise
    try:
        made.add(CANARY, *droplets, **changes)
        made.call("POST", "firewalls", made.wall(CANARY, CANARY, inbound=[rule("tcp", "1", "sources")]))
        yield made
    finally:
        made.destroy()


def _destroy(state: Path) -> None:
    argv = [sys.executable, "-m", "emulator", "destroy", "--state", str(state)]
    subprocess.run(argv, capture_output=True, timeout=120, check=True)


def _by_number(news: Mapping[str, Sequence[Seen]]) -> dict[int, frozenset[tuple[str, str, str]]]:
    """Tap, way and kind of all that was recorded of each packet and its answers."""
    found: dict[int, set[tuple[str, str, str]]] = {}
    for tap, records in news.items():
        for one in records:
            found.setdefault(one.number, set()).add((tap, one.way, one.kind))
    return {number: frozenset(told) for number, told in found.items()}


def _client(served: Served) -> httpx.Client:
    context = ssl.create_default_context(cafile=served.ca_file)
    headers = {"Authorization": f"Bearer {served.token}"}
    return httpx.Client(base_url=served.https, verify=context, headers=headers, trust_env=False, timeout=30)

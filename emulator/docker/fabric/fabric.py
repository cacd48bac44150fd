"""The fabric as the plane uses it: machines and a policy in, packets let through or not.

All state is in the kernel and in the machines' records; a lost container is made again and everything that
runs is wired anew, shut until a policy opens it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import docker
import docker.errors

from emulator.docker.engine import Owner
from emulator.docker.fabric import layout, scans
from emulator.docker.fabric.container import ensure_container, proxies
from emulator.docker.fabric.links import Machine, key
from emulator.docker.fabric.nft import Present, counter_labels, firewalls_by_hash, ruleset
from emulator.docker.fabric.session import Session, SessionLostError
from emulator.planes.base import PERFECT, Integrity, NetworkPolicy, PlaneError, PlaneInfo, ScanOrder

log = logging.getLogger(__name__)

NOTHING = NetworkPolicy(0, ())
Running = Callable[[], Iterable[tuple[Machine, int, str]]]


class Fabric:
    """One emulator's network. ``running`` lists what runs: machine, first process's id, container's id."""

    def __init__(self, engine: docker.DockerClient, owner: Owner, image: str, running: Running) -> None:
        self._engine, self._owner, self._image, self._running = engine, owner, image, running
        self._attaching, self._loading, self._asking = threading.RLock(), threading.Lock(), threading.Lock()
        self._session: Session | None = None
        self._present = Present()
        self._policy: NetworkPolicy | None = None
        self._machines: dict[str, Machine] = {}
        self._facts: dict[str, Any] | None = None

    def attach(self, machines: Iterable[Machine]) -> None:
        """Find or make the fabric, and wire what runs and is not wired. Raises ``PlaneError``."""
        self._machines = {machine.ref: machine for machine in machines}
        self._attach()

    def close(self) -> None:
        """Hang up; everything stays as it is."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def apply(self, policy: NetworkPolicy) -> None:
        """Enforce ``policy``, unless a newer one is in force already."""
        with self._loading:
            self._take(policy)
            self._load()

    def admit(self, machine: Machine, policy: NetworkPolicy) -> None:
        """Make a machine known, with ``policy`` in force, before it is wired."""
        with self._loading:
            self._machines[machine.ref] = machine
            self._take(policy)
            self._load()
        self.publish(machine)

    def publish(self, machine: Machine) -> None:
        """Serve a machine's metadata and host names."""
        self._machines[machine.ref] = machine
        self.call("publish", **_notice(machine))

    def wire(self, machine: Machine, pid: int, container: str) -> bool:
        """Plug a running machine in; False: its container runs, and the machine in there does not yet."""
        return bool(self.call("wire", pid=pid, container=container, **_plugs(machine)))

    def shape(self, machine: Machine) -> None:
        """Give those of a machine's links that are plugged in its quality."""
        self._machines[machine.ref] = machine
        names = [link.name for link in machine.links]
        self.call("shape", names=names, quality=asdict(machine.quality))

    def unplug(self, machine: Machine) -> None:
        """Take a machine off the network, and forget its connections."""
        self.call("unwire", names=[link.name for link in machine.links], ips=machine.ips)

    def hang_up(self, machine: Machine) -> None:
        """Forget a machine's connections; each goes on where the rules that are in force now let it."""
        self.call("unwire", names=[], ips=machine.ips)

    def dismiss(self, machine: Machine) -> None:
        """Take a machine off the network for good."""
        self.unplug(machine)
        self.call("retract", ref=machine.ref, ips=machine.ips)
        with self._loading:
            self._machines.pop(machine.ref, None)
            if self._policy is not None:
                self._load()

    def banner(self, ip: str, port: int, seconds: float) -> str:
        """What a server says first. Raises ``PlaneError``."""
        return str(self.call("banner", ip=ip, port=port, seconds=seconds))

    def free_bytes(self) -> int:
        """What is free where the engine keeps containers."""
        return int(self.call("free_bytes"))

    def facts(self) -> Mapping[str, Any]:
        """``bounding_set`` (bits) and ``features`` (name -> whether it is there) of the engine's machine."""
        with self._asking:
            if self._facts is None:
                self._facts = self.call("facts")
            return self._facts

    def info(self) -> PlaneInfo:
        """What the API tells of this plane."""
        operator, internet = proxies(self._engine, self._owner)
        features: dict[str, bool] = self.facts()["features"]
        return PlaneInfo("docker", operator, layout.OPERATOR, layout.INTERNET, features, internet)

    def counters(self) -> Sequence[Mapping[str, Any]]:
        """Counts of every machine's gates and of the fabric's own rules."""
        names = firewalls_by_hash(self._policy or NOTHING)
        refs = {key(ref): ref for ref in self._machines}
        counted = []
        for counter in self.call("objects")["counters"]:
            machine, gate, verdict, digest = counter_labels(counter["name"])
            counted.append(
                {
                    "ref": refs.get(machine, machine),
                    "gate": gate,
                    "verdict": verdict,
                    "firewall": names.get((machine, gate, digest), digest),
                    "packets": counter["packets"],
                    "bytes": counter["bytes"],
                }
            )
        return counted

    def flows(self) -> Sequence[Mapping[str, Any]]:
        """What was dropped, by pair and gate."""
        flows: Sequence[Mapping[str, Any]] = self.call("flows")
        return flows

    def integrity(self) -> Integrity:
        """Whether what is in force is what was loaded; changes nothing."""
        with self._loading:
            whole = "" if self._policy is None else self._compiled(Present())[0]
            return Integrity(**self.call("examine", whole=whole, **self._expected()))

    def restore(self) -> Integrity:
        """Put what should be in force in the place of whatever is."""
        with self._loading:
            whole, after = self._compiled(Present())
            done = Integrity(**self.call("restore", whole=whole, **self._expected()))
            self._present = after
        _warn(done.repaired)
        return done

    def tamper(self, fault: str) -> None:
        """Put a rule in by hand, as nobody should; see ``FAULTS`` of the agent."""
        self.call("tamper", fault=fault)

    def scan(
        self, order: ScanOrder, told: scans.Told, cancelled: threading.Event
    ) -> Sequence[Mapping[str, Any]]:
        """Probe pairs of machines. Raises ``PlaneError``."""
        running = {machine.ref: (machine, pid, container) for machine, pid, container in self._running()}
        specification = scans.specification(order, running)
        return scans.scan(self._engine, self._owner.name("fabric"), specification, told, cancelled)

    def call(self, operation: str, **arguments: Any) -> Any:
        """Ask the agent; if it is gone, attach anew and ask once more."""
        session = self._session or self._attach()
        try:
            return session.call(operation, **arguments)
        except SessionLostError as error:
            log.warning("%s; attaching anew", error)
        return self._attach().call(operation, **arguments)

    def _attach(self) -> Session:
        with self._attaching:
            if self._session is not None and not self._session.over:
                return self._session
            self.close()
            fresh, session = self._begin()
            self._session = session
            self._take_stock(session, fresh=fresh)
            return session

    def _begin(self) -> tuple[bool, Session]:
        """Whether the container was made anew, and its agent, which loads while the fabric gets ready."""
        early: list[Session] = []

        def open_early() -> None:
            with suppress(docker.errors.APIError):  # a container that has ended says why
                early.append(self._open())

        try:
            fresh = ensure_container(self._engine, self._owner, self._image, open_early)
        except BaseException:
            for session in early:
                session.close()
            raise
        return fresh, (early or [self._open()])[0]

    def _open(self) -> Session:
        return Session(self._engine, self._owner.name("fabric"))

    def _take_stock(self, session: Session, *, fresh: bool) -> None:
        """Learn what the kernel holds; what it lacks, give it: rules first, then links."""
        objects = session.call("objects")
        names = frozenset(counter["name"] for counter in objects["counters"])
        self._present = Present(frozenset(objects["chains"]), names, frozenset(session.call("gated")))
        running = list(self._running())
        if fresh and (
            running or self._policy is not None
        ):  # else it is shut, and a policy comes before links
            self._load_by(session)
        wired = set(session.call("links"))
        for machine, pid, container in running:
            if fresh:
                session.call("publish", **_notice(machine))
            if not wired.issuperset(link.name for link in machine.links):
                session.call("wire", pid=pid, container=container, **_plugs(machine))

    def _take(self, policy: NetworkPolicy) -> None:
        if self._policy is None or policy.serial >= self._policy.serial:
            self._policy = policy

    def _load(self) -> None:
        session = self._session or self._attach()
        try:
            self._load_by(session)
        except SessionLostError as error:
            log.warning("%s; attaching anew", error)
            self._load_by(self._attach())

    def _load_by(self, session: Session) -> None:
        text, after = self._compiled(self._present)
        try:
            foreign = session.call("load", ruleset=text, whole=self._compiled(Present())[0])
        except SessionLostError:
            raise
        except PlaneError as error:
            serial = (self._policy or NOTHING).serial
            raise PlaneError(f"the network policy {serial} could not be loaded: {error}") from error
        self._present = after
        _warn(foreign or ())

    def _compiled(self, present: Present) -> tuple[str, Present]:
        return ruleset(self._policy or NOTHING, list(self._machines.values()), present)

    def _expected(self) -> dict[str, Any]:
        machines = list(self._machines.values())
        return {
            "links": [asdict(link) for machine in machines for link in machine.links],
            "shaped": [link.name for each in machines if each.quality != PERFECT for link in each.links],
        }


def _warn(foreign: Iterable[Mapping[str, str]]) -> None:
    for each in foreign:
        log.warning("put right in the fabric, where nobody should have changed it: %s", dict(each))


def _plugs(machine: Machine) -> dict[str, Any]:
    links = [asdict(link) for link in machine.links]
    return {"links": links, "quality": asdict(machine.quality), "guest": machine.is_guest}


def _notice(machine: Machine) -> dict[str, Any]:
    metadata = None if machine.metadata is None else dict(machine.metadata)
    return {"ref": machine.ref, "ips": machine.ips, "metadata": metadata, "hosts": dict(machine.hosts)}

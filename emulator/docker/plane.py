"""Machines as containers: made, wired, stopped, found again and removed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker

from emulator.docker import database, droplet, usage
from emulator.docker.engine import Owner, asking, connect, create, execute, find, owned, remove
from emulator.docker.events import Events
from emulator.docker.fabric.fabric import Fabric
from emulator.docker.fabric.links import Machine, database_machine, droplet_machine
from emulator.docker.images import build
from emulator.docker.records import Records
from emulator.planes.base import (
    DatabaseSpec,
    DropletSpec,
    Existing,
    Integrity,
    MachineEvent,
    NetworkPolicy,
    PlaneError,
    PlaneInfo,
    PowerState,
    ScanOrder,
    Usage,
)
from harness.core import signals
from harness.core.errors import WaitTimeoutError
from harness.core.names import DROPLET_SYSTEMS
from harness.core.wait import NotYet, scaled, wait_for

log = logging.getLogger(__name__)

BOOT_SECONDS = 90.0
READY_SECONDS = 90.0
SHUTDOWN_SECONDS = 20
NOTICE_SECONDS = 1.0
MIN_FREE_BYTES = 2 * 1024**3
CONSOLE_LINES = 400
SSH_PORT = 22
AT_ONCE = 8
NO_NETEM = (
    "this machine's kernel has no netem (module sch_netem), so links can neither delay nor lose packets; "
    "docs/local-vm.md brings a kernel that has it"
)


class DockerPlane:
    """The data plane of one emulator. Safe to use from many threads; two instances do not meet.

    ``system`` is what its droplets are, one of ``DROPLET_SYSTEMS``.
    Refuses to make a machine when less than ``MIN_FREE_BYTES`` are free where the engine keeps containers.
    """

    def __init__(self, instance: str, state_dir: Path, system: str = DROPLET_SYSTEMS[0]) -> None:
        self._system = system
        self._owner = Owner(instance, state_dir.absolute())
        self._records = Records(self._owner.state_dir)
        self._lock = threading.Lock()
        self._engine: docker.DockerClient | None = None
        self._fabric: Fabric | None = None
        self._images: dict[str, str] = {}
        self._events: Events | None = None
        self._wired_pids: dict[str, int] = {}

    def start(self) -> None:
        """Connect, build missing images, find or make the fabric, and wire what runs."""
        self._engine = connect()
        try:
            self._attach(self._engine)
        except BaseException:  # stopped, too
            self.close()
            raise

    def _attach(self, engine: docker.DockerClient) -> None:
        self._images = build.ensure(["droplet", "fabric"], log.info, client=engine, system=self._system)
        signals.check()  # building takes long enough for somebody to stop us
        self._fabric = Fabric(engine, self._owner, self._images["fabric"], self._running)
        self._fabric.attach(self._records.all())

    def close(self) -> None:
        """Close all connections; machines keep running."""
        if self._events is not None:
            self._events.close()
            self._events = None
        if self._fabric is not None:
            self._fabric.close()
        if self._engine is not None:
            self._engine.close()
        self._fabric = self._engine = None

    def info(self) -> PlaneInfo:
        """Describe the plane."""
        return self.fabric.info()

    def existing(self) -> Existing:
        """Find every machine of this emulator, whatever its state."""
        engine = self._engine or connect()
        try:
            found = [container for container in owned(engine, self._owner) if container.ref]
        finally:
            if engine is not self._engine:
                engine.close()
        states: dict[str, PowerState] = {one.ref: "running" if one.running else "stopped" for one in found}
        return Existing(states)

    def watch(self, on_event: Callable[[str, MachineEvent], object]) -> None:
        """Report what happens to containers, as the engine does."""

        def forward(ref: str, what: MachineEvent) -> None:
            # Inspecting it waits until the engine is done with it: its list is behind its events.
            wired = bool(ref) and self._is_wired(ref)
            if what != "started" or not wired:
                on_event(ref, what)

        self._events = Events(self._owner, forward)
        self._events.start()

    # -- droplets

    def create_droplet(self, spec: DropletSpec, policy: NetworkPolicy) -> None:
        """Make and boot a droplet; returns when sshd answers."""
        name = droplet.container_name(self._owner, spec.id)
        machine = droplet_machine(spec)
        found = find(self.engine, name)
        if found is None or not found["State"]["Running"]:
            self._check_disk()
            # One that exists but does not run was never finished.
            remove(self.engine, name)
            self._records.put(machine)
            self._make_droplet(name, spec)
        self._boot(name, machine, policy)
        self._await_ssh(name, machine)

    def power_off(self, droplet_id: int) -> None:
        """Cut the power."""
        self._stop(droplet_id, 0)

    def shutdown(self, droplet_id: int) -> None:
        """Ask the guest to stop, and cut the power if it does not in time."""
        self._stop(droplet_id, SHUTDOWN_SECONDS)

    def power_on(self, spec: DropletSpec, policy: NetworkPolicy) -> None:
        """Start a stopped droplet with its disk."""
        name = droplet.container_name(self._owner, spec.id)
        if find(self.engine, name) is None:
            raise PlaneError(f"droplet {spec.id} ({spec.name}) has no disk any more; rebuild or destroy it")
        machine = droplet_machine(spec)
        self._records.put(machine)
        self._boot(name, machine, policy)
        self._await_ssh(name, machine)

    def rename_droplet(self, spec: DropletSpec) -> None:
        """Give a droplet its new host name and metadata."""
        machine = droplet_machine(spec)
        self._records.put(machine)
        self.fabric.publish(machine)
        name = droplet.container_name(self._owner, spec.id)
        found = find(self.engine, name)
        if found is not None and found["State"]["Running"]:
            script = f"echo {spec.name} > /etc/hostname && hostname {spec.name}"
            self._execute(name, droplet.ask(["sh", "-ec", script]))

    def rebuild_droplet(self, spec: DropletSpec, policy: NetworkPolicy) -> None:
        """Replace the disk by a fresh image; id and addresses stay."""
        self._remove(droplet.container_name(self._owner, spec.id), droplet_machine(spec))
        self.create_droplet(spec, policy)

    def destroy_droplet(self, droplet_id: int) -> None:
        """Remove a droplet and its disk; nothing happens if there is none."""
        self._destroy(droplet.container_name(self._owner, droplet_id), droplet.reference(droplet_id))

    # -- databases

    def create_database(self, spec: DatabaseSpec, policy: NetworkPolicy) -> None:
        """Make a cluster, or start the one that is there with its data; returns when it takes connections."""
        name = database.container_name(self._owner, spec.id)
        machine = database_machine(spec)
        image = self._image(database.image_name(spec))
        found = find(self.engine, name)
        if found is None:
            self._check_disk()
            self._records.put(machine)
            self._make_database(name, image, spec)
        self._boot(name, machine, policy)
        self._await_ready(name, spec)

    def destroy_database(self, database_id: str) -> None:
        """Remove a cluster and its data; nothing happens if there is none."""
        self._destroy(database.container_name(self._owner, database_id), database.reference(database_id))

    # -- the network

    def apply(self, policy: NetworkPolicy) -> None:
        """Enforce ``policy`` on everything that runs, atomically; established connections go on."""
        self.fabric.apply(policy)

    def flush_conntrack(self, droplet_id: int) -> None:
        """Delete a droplet's connection tracking entries: the present rules check all its packets."""
        machine = self._records.get(droplet.reference(droplet_id))
        if machine is not None:
            self.fabric.flush_conntrack(machine)

    def shape_refusal(self) -> str:
        """A kernel without netem delays and loses nothing."""
        return "" if self.fabric.facts()["features"]["netem"] else NO_NETEM

    def shape(self, spec: DropletSpec) -> None:
        """Give a droplet's links their ``quality``: now where it runs, else when it has power again."""
        machine = droplet_machine(spec)
        self.fabric.shape(machine)
        self._records.put(machine)

    def counters(self) -> Sequence[Mapping[str, Any]]:
        """The fabric's counters: ``ref, gate, verdict, firewall, packets, bytes`` each."""
        return self.fabric.counters()

    def flows(self) -> Sequence[Mapping[str, Any]]:
        """What the fabric dropped, by pair."""
        return self.fabric.flows()

    def integrity(self) -> Integrity:
        """Compare the fabric with what was loaded into it."""
        return self.fabric.integrity()

    def restore(self) -> Integrity:
        """Restore what was loaded into the fabric."""
        return self.fabric.restore()

    def tamper(self, fault: str) -> None:
        """Put a rule into the fabric by hand."""
        self.fabric.tamper(fault)

    def usage(self) -> Sequence[Usage]:
        """What each database that runs has used."""
        return usage.of_databases(self.engine, self._owner)

    def scan_refusal(self) -> str:
        """This plane can scan."""
        return ""

    def scan(
        self, order: ScanOrder, on_progress: Callable[[int, int], object], cancelled: threading.Event
    ) -> Sequence[Mapping[str, Any]]:
        """Probe pairs, with the packet counters of the fabric's and the targets' kernels."""
        return self.fabric.scan(order, on_progress, cancelled)

    # -- all of it

    def console(self, ref: str) -> str:
        """The last boot and system log of a machine, for error messages and bundles."""
        kind, _, identity = ref.partition(":")
        name = self._owner.name(f"{kind}-{identity}")
        found = find(self.engine, name)
        if found is None:
            return f"{ref}: no such machine\n"
        with asking(f"reading the console of {ref}"):
            text: str = self.engine.api.logs(name, tail=CONSOLE_LINES).decode(errors="replace")
        if kind == droplet.KIND and found["State"]["Running"]:
            journal = ["journalctl", "--no-pager", "--boot", f"--lines={CONSOLE_LINES}"]
            text += self._try(name, droplet.ask(journal))[1]
        return text

    def destroy_all(self) -> None:
        """Remove every machine, the fabric and all that carries this emulator's label."""
        engine = self._engine or connect()
        self.close()
        containers = owned(engine, self._owner)
        # The fabric last: machines that run would notice it gone.
        machines = [container.id for container in containers if container.kind != "fabric"]
        fabrics = [container.id for container in containers if container.kind == "fabric"]
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            for group in (machines, fabrics):
                list(pool.map(lambda identity: remove(engine, identity), group))
        with asking("removing volumes"):
            for volume in engine.volumes.list(filters=self._owner.filter):
                volume.remove(force=True)
        engine.close()
        self._records.clear()

    # -- steps

    @property
    def engine(self) -> docker.DockerClient:
        """The engine. Raises ``PlaneError`` before ``start``."""
        if self._engine is None:
            raise PlaneError("the plane has not been started")
        return self._engine

    @property
    def fabric(self) -> Fabric:
        """The network. Raises ``PlaneError`` before ``start``."""
        if self._fabric is None:
            raise PlaneError("the plane has not been started")
        return self._fabric

    def _image(self, name: str) -> str:
        with self._lock:
            if name not in self._images:
                self._images |= build.ensure([name], log.info, client=self.engine)
            return self._images[name]

    def _check_disk(self) -> None:
        free = self.fabric.free_bytes()
        if free < MIN_FREE_BYTES:
            raise PlaneError(
                f"the disk is nearly full: {free / 2**30:.1f} GiB are free where the engine has its data, "
                f"{MIN_FREE_BYTES / 2**30:.0f} GiB are needed; `docker system df` shows what uses them"
            )

    def _make_droplet(self, name: str, spec: DropletSpec) -> None:
        features = self.fabric.facts()["features"]
        droplet.check_machine(features)
        host = droplet.host_config(self._owner, spec, raise_limits=features["sys_resource"])
        config = droplet.container_config(self._owner, spec)
        create(self.engine, self._image("droplet"), name, host=host, **config)
        self._put(name, droplet.seed(spec))

    def _make_database(self, name: str, image: str, spec: DatabaseSpec) -> None:
        host = database.host_config(self._owner, spec)
        config = database.container_config(self._owner, spec)
        create(self.engine, image, name, host=host, **config)
        self._put(name, database.seed(spec))

    def _put(self, name: str, archive: bytes) -> None:
        with asking(f"writing the first files of {name}"):
            self.engine.api.put_archive(name, "/", archive)

    def _boot(self, name: str, machine: Machine, policy: NetworkPolicy) -> None:
        """Start what does not run, then wire it, with ``policy`` in force before there is a link."""
        found = find(self.engine, name)
        fresh = found is None or not found["State"]["Running"]
        self.fabric.register(machine, policy)
        if fresh:
            self.fabric.disconnect(machine)
            with asking(f"starting {machine.ref}"):
                self.engine.api.start(name)
        if fresh or not self._has_links(name, machine):  # one that somebody else started has none
            self._wire(name, machine)

    def _wire(self, name: str, machine: Machine) -> None:
        found = find(self.engine, name)
        if found is None or not found["State"]["Running"]:
            raise self._stopped(machine)
        try:
            self._await_wired(machine, found["State"]["Pid"], found["Id"])
            self._wired_pids[machine.ref] = found["State"]["Pid"]
        except PlaneError as error:
            if self._runs_on(name, found["State"]["Pid"]):
                raise
            raise self._stopped(machine) from error

    def _await_wired(self, machine: Machine, pid: int, container: str) -> None:
        """A droplet is there a moment after its container, or later where its engine is seeded first."""

        def wired() -> None:
            if not self.fabric.wire(machine, pid, container):
                raise NotYet("its container runs, and it does not yet")

        self._await(f"{machine.ref} to be started", machine.ref, wired, BOOT_SECONDS)

    def _runs_on(self, name: str, pid: int) -> bool:
        """Whether a container's first process is ``pid`` a moment later: the engine notices ends late."""

        def ended() -> None:
            now = find(self.engine, name)
            if now is not None and now["State"]["Pid"] == pid:
                raise NotYet("it runs")

        try:
            wait_for(f"{name} to have ended", ended, deadline=NOTICE_SECONDS)
        except WaitTimeoutError:
            return True
        return False

    def _has_links(self, name: str, machine: Machine) -> bool:
        devices = self._execute(name, ["cat", "/proc/net/dev"])
        return all(f"{link.device}:" in devices for link in machine.links)

    def _is_wired(self, ref: str) -> bool:
        """Whether the machine as it runs now was connected by this plane: then it was started by it, too."""
        found = find(self.engine, self._owner.name(ref.replace(":", "-")))
        return found is not None and self._wired_pids.get(ref) == found["State"]["Pid"]

    def _stopped(self, machine: Machine) -> PlaneError:
        console = self.console(machine.ref)[-2000:]
        return PlaneError(f"{machine.ref} stopped as soon as it was started:\n{console}")

    def _await_ssh(self, name: str, machine: Machine) -> None:
        ip = machine.links[-1].ip

        def answers() -> None:
            try:
                greeting = self.fabric.banner(ip, SSH_PORT, scaled(2.0))
            except PlaneError as error:
                self._check_running(name, machine.ref)
                raise NotYet(str(error)) from error
            if not greeting.startswith("SSH-"):
                raise NotYet(f"it answered {greeting!r}")

        self._await(f"sshd of {machine.ref} to answer at {ip}", machine.ref, answers, BOOT_SECONDS)

    def _await_ready(self, name: str, spec: DatabaseSpec) -> None:
        ref = database.reference(spec.id)

        def ready() -> None:
            self._check_running(name, ref)
            code, output = self._try(name, database.READY)
            if code:
                raise NotYet(output.strip()[-300:] or f"wt-ready: exit {code}")

        self._await(f"database {spec.name} to take connections", ref, ready, READY_SECONDS)

    def _await(self, awaited: str, ref: str, probe: Any, deadline: float) -> None:
        try:
            wait_for(awaited, probe, deadline=deadline, first_pause=0.1, max_pause=0.3)
        except WaitTimeoutError as error:
            raise PlaneError(f"{error}\n{self.console(ref)[-2000:]}") from error

    def _check_running(self, name: str, ref: str) -> None:
        found = find(self.engine, name)
        if found is None:
            raise PlaneError(f"{ref} was removed while it booted")
        if not found["State"]["Running"]:
            code = found["State"]["ExitCode"]
            raise PlaneError(f"{ref} stopped while it booted (exit {code}):\n{self.console(ref)[-2000:]}")

    def _stop(self, droplet_id: int, seconds: int) -> None:
        name = droplet.container_name(self._owner, droplet_id)
        found = find(self.engine, name)
        if found is None:
            raise PlaneError(f"droplet {droplet_id} does not exist in the engine")
        machine = self._records.get(droplet.reference(droplet_id))
        if machine is not None and not seconds:
            self.fabric.disconnect(machine)  # first: a machine that loses power closes no connection
        if found["State"]["Running"]:
            with asking(f"stopping droplet {droplet_id}"):
                self.engine.api.stop(name, timeout=seconds)
        if machine is not None and seconds:
            self.fabric.disconnect(machine)

    def _destroy(self, name: str, ref: str) -> None:
        self._remove(name, self._records.get(ref))
        self._records.forget(ref)

    def _remove(self, name: str, machine: Machine | None) -> None:
        remove(self.engine, name)
        if machine is not None:
            self.fabric.remove(machine)

    def _execute(self, name: str, argv: list[str]) -> str:
        code, output = self._try(name, argv)
        if code:
            raise PlaneError(f"{' '.join(argv)} in {name}: exit {code}: {output.strip()[-2000:]}")
        return output

    def _try(self, name: str, argv: list[str]) -> tuple[int, str]:
        with asking(f"running {argv[0]} in {name}"):
            code, output = execute(self.engine, name, argv)
        return code, output.decode(errors="replace")

    def _running(self) -> Iterator[tuple[Machine, int, str]]:
        """Machines on record that run, with their first process and container."""
        for machine in self._records.all():
            kind, _, identity = machine.ref.partition(":")
            found = find(self.engine, self._owner.name(f"{kind}-{identity}"))
            if found is not None and found["State"]["Running"]:
                yield machine, found["State"]["Pid"], found["Id"]

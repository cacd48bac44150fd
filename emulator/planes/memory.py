"""A plane on which nothing runs: machines are entries in a dictionary, and everything is instant.

For unit tests and the ``responses`` mock, and for the server where no engine is at hand. Faults are
injected by name, so that whoever uses a cloud can be tested against one that fails::

    MemoryPlane(faults={"droplet:web": "never boots", "database:main": "no space left", "apply": "no nft"})

The key is ``droplet:<name>``, ``database:<name>`` or ``apply``; the text is the error's. The text ``hangs``
blocks until the machine is destroyed or the plane closed. A fault lifted from ``faults`` no longer happens.
The fault ``netem`` is why links cannot be made worse, ``shape`` what goes wrong when they are.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
    Quality,
    ScanOrder,
    Usage,
)

HANGS = "hangs"


class MemoryPlane:
    """The plane of tests. ``state`` keeps the machines in a file, so that they outlive the server's process.

    ``delay`` is how many seconds it takes to make a machine. ``policy`` is what was applied last,
    ``qualities`` what droplets' links were last set to, by id.
    """

    def __init__(
        self, *, faults: Mapping[str, str] | None = None, delay: float = 0.0, state: Path | None = None
    ) -> None:
        self.faults = dict(faults or {})
        self.policy = NetworkPolicy(0, ())
        self.qualities: dict[int, Quality] = {}
        self.tampered: list[Mapping[str, str]] = []
        self._delay, self._state = delay, state
        self._lock = threading.Condition()
        self._closed = False
        self._removed: set[str] = set()
        self._machines: dict[str, PowerState] = {}
        self._consoles: dict[str, str] = {}
        self._on_event: Callable[[str, MachineEvent], object] = lambda _ref, _what: None
        if state is not None and state.exists():
            self._machines = _machines(state)

    def start(self) -> None:
        """Fail if the fault ``start`` is set."""
        self._fault("start")

    def close(self) -> None:
        """Let calls that hang end."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()

    def info(self) -> PlaneInfo:
        """A plane that no packet can reach."""
        return PlaneInfo("memory", "", "", "", {})

    def existing(self) -> Existing:
        """The machines made so far."""
        with self._lock:
            return Existing(dict(self._machines))

    def watch(self, on_event: Callable[[str, MachineEvent], object]) -> None:
        """Report what :meth:`by_hand` is called with."""
        self._on_event = on_event

    def by_hand(self, ref: str, what: MachineEvent) -> None:
        """What a user of the engine does to a machine, past the plane: start, stop or remove it."""
        states: Mapping[MachineEvent, PowerState] = {"started": "running", "stopped": "stopped"}
        with self._lock:
            if what in states and ref in self._machines:
                self._machines[ref] = states[what]
            elif what == "removed":
                self._machines.pop(ref, None)
            self._save()
        self._on_event(ref, what)

    def create_droplet(self, spec: DropletSpec, policy: NetworkPolicy) -> None:
        """Make a droplet, unless a fault says otherwise; a machine that never boots is there all the same."""
        self._apply(policy)
        self._make(f"droplet:{spec.id}", f"droplet:{spec.name}")

    def power_off(self, droplet_id: int) -> None:
        """Stop a droplet."""
        self._set(f"droplet:{droplet_id}", "stopped")

    def shutdown(self, droplet_id: int) -> None:
        """Stop a droplet."""
        self._set(f"droplet:{droplet_id}", "stopped")

    def power_on(self, spec: DropletSpec, policy: NetworkPolicy) -> None:
        """Start a droplet."""
        self._apply(policy)
        self._fault(f"droplet:{spec.name}", f"droplet:{spec.id}")
        with self._lock:
            if f"droplet:{spec.id}" not in self._machines:
                raise PlaneError(f"droplet {spec.id} ({spec.name}) has no disk any more")
        self._set(f"droplet:{spec.id}", "running")

    def rename_droplet(self, spec: DropletSpec) -> None:
        """Nothing to do."""

    def rebuild_droplet(self, spec: DropletSpec, policy: NetworkPolicy) -> None:
        """Make the droplet anew."""
        self.create_droplet(spec, policy)

    def destroy_droplet(self, droplet_id: int) -> None:
        """Forget a droplet; the fault ``destroy`` prevents it."""
        self._fault("destroy")
        self._set(f"droplet:{droplet_id}", None)

    def create_database(self, spec: DatabaseSpec, policy: NetworkPolicy) -> None:
        """Make a cluster, unless a fault says otherwise."""
        self._apply(policy)
        self._make(f"database:{spec.id}", f"database:{spec.name}")

    def destroy_database(self, database_id: str) -> None:
        """Forget a cluster; the fault ``destroy`` prevents it."""
        self._fault("destroy")
        self._set(f"database:{database_id}", None)

    def apply(self, policy: NetworkPolicy) -> None:
        """Remember the policy; the fault ``apply`` prevents it."""
        self._fault("apply")
        self._apply(policy)

    def flush_conntrack(self, droplet_id: int) -> None:
        """There are none."""

    def shape_refusal(self) -> str:
        """The fault ``netem``: links here are nothing but a note."""
        return self.faults.get("netem", "")

    def shape(self, spec: DropletSpec) -> None:
        """Remember it; the fault ``shape`` prevents it."""
        self._fault("shape")
        self.qualities[spec.id] = spec.quality

    def console(self, ref: str) -> str:
        """The boot log of a machine."""
        return self._consoles.get(ref, "")

    def counters(self) -> Sequence[Mapping[str, Any]]:
        """No packet passes here."""
        return ()

    def flows(self) -> Sequence[Mapping[str, Any]]:
        """No packet is dropped either."""
        return ()

    def integrity(self) -> Integrity:
        """There is nothing that could be otherwise, but what a test puts into ``tampered``."""
        return Integrity(tuple(self.tampered))

    def restore(self) -> Integrity:
        """All is as it should be."""
        found, self.tampered = tuple(self.tampered), []
        return Integrity((), found)

    def tamper(self, fault: str) -> None:
        """Remember it."""
        self.tampered.append({"where": "memory", "problem": "has a foreign line", "text": fault})

    def usage(self) -> Sequence[Usage]:
        """Nothing is used by what does not run."""
        return ()

    def scan_refusal(self) -> str:
        """There is nothing to send a packet to."""
        return "nothing runs on the memory plane, so there is nothing to scan; use the docker plane"

    def scan(
        self, order: ScanOrder, on_progress: Callable[[int, int], object], cancelled: threading.Event
    ) -> Sequence[Mapping[str, Any]]:
        """Refuse."""
        del order, on_progress, cancelled
        raise PlaneError(self.scan_refusal())

    def destroy_all(self) -> None:
        """Forget everything."""
        with self._lock:
            self._machines.clear()
            if self._state is not None:  # a full disk must not keep it
                self._state.with_suffix(".new").unlink(missing_ok=True)
                self._state.unlink(missing_ok=True)

    def _make(self, ref: str, name: str) -> None:
        self._wait(ref, self._delay)
        self._consoles[ref] = f"{name} boots\n"
        try:
            self._fault(name, ref)
        except PlaneError as error:
            self._consoles[ref] += f"{error}\n"
            with self._lock:
                self._machines[ref] = "stopped"
                self._save()
            raise
        self._set(ref, "running")

    def _apply(self, policy: NetworkPolicy) -> None:
        with self._lock:
            if policy.serial >= self.policy.serial:
                self.policy = policy

    def _fault(self, name: str, ref: str = "") -> None:
        text = self.faults.get(name)
        if text == HANGS:
            self._wait(ref, None)
        if text:
            raise PlaneError(text)

    def _wait(self, ref: str, seconds: float | None) -> None:
        """Let time pass; an error if the machine is removed meanwhile. Ids are never used again."""
        with self._lock:
            self._lock.wait_for(lambda: self._closed or ref in self._removed, seconds)
            if ref in self._removed:
                raise PlaneError(f"{ref} was removed while it booted")

    def _set(self, ref: str, state: PowerState | None) -> None:
        with self._lock:
            if state is None:
                self._machines.pop(ref, None)
                self._removed.add(ref)
                self._lock.notify_all()
            elif ref in self._machines or state == "running":
                self._machines[ref] = state
            self._save()

    def _save(self) -> None:
        if self._state is not None:
            new = self._state.with_suffix(".new")
            new.write_text(json.dumps(self._machines))
            new.replace(self._state)


def _machines(file: Path) -> dict[str, PowerState]:
    """What a file says of the machines. Raises ``PlaneError``."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise PlaneError(f"{file} cannot be read ({error}); remove it, and with it the machines") from error
    if not isinstance(found, dict) or not all(state in ("running", "stopped") for state in found.values()):
        raise PlaneError(f"{file} is not a list of machines; remove it, and with it the machines")
    return found

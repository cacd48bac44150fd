"""The engine's events of this emulator's containers: started, stopped, removed.

The engine's own stream of events, by label, on a connection of its own. It ends when the engine does, and is
begun anew until :meth:`Events.close`; events meanwhile are lost, so the listener must inspect the machines.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from typing import Any

import docker
import requests

from emulator.docker.engine import Owner, connect
from emulator.planes.base import MachineEvent, PlaneError

log = logging.getLogger(__name__)

EVENTS: Mapping[str, MachineEvent] = {"start": "started", "die": "stopped", "destroy": "removed"}
AGAIN_SECONDS = 1.0
FABRIC = "fabric"


class Events:
    """A thread that receives events of containers; ``on_event`` gets a ref and the event."""

    def __init__(self, owner: Owner, on_event: Callable[[str, MachineEvent], object]) -> None:
        self._owner, self._on_event = owner, on_event
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._stream: Any = None

    def start(self) -> None:
        """Listen from now on."""
        threading.Thread(target=self._listen, name="events", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        with self._lock:
            self._closed.set()
            if self._stream is not None:
                with suppress(OSError, docker.errors.DockerException, AttributeError):  # it may have ended
                    self._stream.close()

    def _listen(self) -> None:
        reported = ""
        while not self._closed.is_set():
            try:
                self._follow()
                problem = "the engine has ended the stream"
            except (PlaneError, docker.errors.DockerException, requests.RequestException, OSError) as error:
                problem = str(error)
            except Exception as error:  # whatever a dying engine sends, the next one must be listened to
                problem = f"{type(error).__name__}: {error}"
                log.exception("an event could not be handled")
            if not self._closed.wait(AGAIN_SECONDS) and problem != reported:
                log.warning("the engine's events are not received (%s); connecting again and again", problem)
                reported = problem

    def _follow(self) -> None:
        with closing(connect()) as engine:
            stream = engine.api.events(decode=True, filters=self._filters())
            with self._lock:
                self._stream = stream
            if self._closed.is_set():
                return
            self._on_event("", "away")  # before there was a stream anything may have happened
            for ref, what in machine_events(stream):
                self._on_event(ref, what)

    def _filters(self) -> dict[str, Any]:
        return {"type": "container", "event": list(EVENTS), **self._owner.filter}


def machine_events(stream: Iterator[Mapping[str, Any]]) -> Iterator[tuple[str, MachineEvent]]:
    """The events by machine; the fabric's ref is ``fabric``."""
    for event in stream:
        labels = event.get("Actor", {}).get("Attributes", {})
        ref = labels.get("wavetank.ref") or labels.get("wavetank.kind", "")
        what = EVENTS.get(event.get("Action", ""))
        if ref and what:
            yield ref, what

"""What the engine tells of this emulator's containers while we do nothing: started, stopped, removed.

The engine's own stream of events, by label, on a connection of its own. It ends when the engine does, and is
begun anew until :meth:`Events.close`; what happened meanwhile nobody can tell, so whoever listens must look.
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
from emulator.planes.base import Heard, PlaneError

log = logging.getLogger(__name__)

WORDS: Mapping[str, Heard] = {"start": "started", "die": "stopped", "destroy": "removed"}
AGAIN_SECONDS = 1.0
FABRIC = "fabric"


class Events:
    """A thread that hears of containers; ``told`` gets a ref and what it was."""

    def __init__(self, owner: Owner, told: Callable[[str, Heard], object]) -> None:
        self._owner, self._told = owner, told
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
        silent = ""
        while not self._closed.is_set():
            try:
                self._follow()
                problem = "the engine has ended the stream"
            except (PlaneError, docker.errors.DockerException, requests.RequestException, OSError) as error:
                problem = str(error)
            except Exception as error:  # whatever a dying engine says, its next one must be heard
                problem = f"{type(error).__name__}: {error}"
                log.exception("an event could not be taken")
            if not self._closed.wait(AGAIN_SECONDS) and problem != silent:
                log.warning("the engine's events are not heard (%s); connecting again and again", problem)
                silent = problem

    def _follow(self) -> None:
        with closing(connect()) as engine:
            stream = engine.api.events(decode=True, filters=self._filters())
            with self._lock:
                self._stream = stream
            if self._closed.is_set():
                return
            self._told("", "away")  # before there was a stream anything may have happened
            for ref, what in heard(stream):
                self._told(ref, what)

    def _filters(self) -> dict[str, Any]:
        return {"type": "container", "event": list(WORDS), **self._owner.filter}


def heard(stream: Iterator[Mapping[str, Any]]) -> Iterator[tuple[str, Heard]]:
    """Of which machine the engine tells what; the fabric is ``fabric``."""
    for event in stream:
        labels = event.get("Actor", {}).get("Attributes", {})
        ref = labels.get("wavetank.ref") or labels.get("wavetank.kind", "")
        what = WORDS.get(event.get("Action", ""))
        if ref and what:
            yield ref, what

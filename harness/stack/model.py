"""What goes into the conversion of compose files to a stack, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.deploy.engine import Image
from harness.topology.model import StackService


@dataclass(frozen=True)
class Source:
    """One service of the stack, and all that is known about it.

    * ``text``: its compose file, as the user wrote it.
    * ``environment``: what ``.env`` would hold, the user's own merged with the topology's values.
    * ``secret``: the names in ``environment`` whose values hold a password.
    * ``files``: what the topology renders, by file name: nginx.conf, mongo-ca.pem, ...
    * ``images``: by the compose file's services.
    * ``programs``: an image's own ENTRYPOINT and CMD, by the compose file's services, where they are known.
    * ``more``: the compose files that are merged into the first one, by their paths relative to it.
    * ``passwords``: all that must not be seen, wherever the topology writes it into one of these.
    * ``entrypoints``: its ENTRYPOINT alone, which stays where a compose file has a ``command:`` of its own.
    """

    service: StackService
    text: str
    environment: Mapping[str, str] = field(repr=False)
    secret: frozenset[str]
    files: Mapping[str, str] = field(repr=False)
    images: Mapping[str, Image]
    programs: Mapping[str, tuple[str, ...]]
    entrypoints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    passwords: tuple[str, ...] = field(default=(), repr=False)

    @property
    def beside(self) -> dict[str, str]:
        """The rendered files that a container may see: without what is merged into the compose file."""
        return {name: text for name, text in self.files.items() if name not in self.more}


@dataclass(frozen=True)
class Note:
    """A difference between a compose file and the stack.

    ``where`` is like ``judge0-worker: services.worker.security_opt``; ``what`` says what a stack does not
    do, ``instead`` what was done about it, or what the reader can do.
    """

    where: str
    what: str
    instead: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.instead}"


@dataclass(frozen=True)
class Stack:
    """A ``docker-stack.yml`` as text and as data, with the contents of the configs and secrets it names.

    Nothing of ``secrets`` is in ``text``. The names carry a hash of the content, because a swarm cannot
    change a config or a secret. ``notes`` are in the order of the sources.
    """

    text: str
    document: Mapping[str, Any]
    configs: Mapping[str, bytes] = field(repr=False)
    secrets: Mapping[str, bytes] = field(repr=False)
    notes: tuple[Note, ...]

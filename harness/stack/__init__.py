"""Conversion of compose files to one ``docker-stack.yml``: text in, text out, without network or engine.

``convert`` is the flow. What becomes of which key of a compose file is told by docs/stack.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.stack.model import Note, Source, Stack
from harness.topology.model import Topology

__all__ = ["Note", "Source", "Stack", "convert", "secret_names"]


def convert(topology: Topology, sources: Sequence[Source], *, ipvs: bool) -> Stack:
    """The stack of ``topology.swarm``. ``ipvs``: whether the members' kernels can do virtual addresses.

    Raises ``TopologyError`` for what a service asks for and a swarm cannot give.
    """
    raise NotImplementedError


def secret_names(environment: Mapping[str, str], passwords: Sequence[str]) -> frozenset[str]:
    """The variables to be kept from sight: those with a password in the value, or a name that says so."""
    raise NotImplementedError

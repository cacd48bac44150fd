"""The kinds of mutants."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal[
    "rule-removed",
    "rule-moved",
    "port-added",
    "peer-added",
    "detached",
    "inbound-opened",
    "outbound-opened",
    "trust-removed",
    "trust-added",
    "trust-dropped",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

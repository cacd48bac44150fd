"""The kinds of mutants: of what protects a deployment, and of the deployment itself."""

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
    "fabric-rule",
    "relay",
    "liar",
    "lying-health",
    "stale-image",
    "swapped-upstream",
    "open-database-user",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
FAULTS: tuple[Kind, ...] = KINDS[KINDS.index("fabric-rule") :]  # of the deployment itself, not of its rules

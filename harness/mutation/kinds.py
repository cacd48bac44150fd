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
HOLES: tuple[Kind, ...] = KINDS[: KINDS.index("fabric-rule")]  # in the rules that protect a deployment
FAULTS: tuple[Kind, ...] = KINDS[len(HOLES) :]  # of the deployment itself

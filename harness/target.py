"""A target is data: where the API is, the token for it, and how a TCP connection reaches a public address.

``local`` and ``do`` differ in nothing else, so every other module takes a :class:`Target` and never asks
which one it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Target:
    """Where a deployment lives.

    ``endpoint`` is the API's URL without ``/v2``; ``ca_file`` the CA to trust for it (None: the system's);
    ``proxy`` a ``socks5://host:port`` through which public addresses are reached (None: directly);
    ``operators`` the CIDRs this machine is seen as; ``info`` what ``/_wavetank/info`` told (empty: a cloud).
    """

    name: str
    endpoint: str
    token: str = field(repr=False)
    ca_file: Path | None = None
    proxy: str | None = None
    operators: tuple[str, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)

"""Keep passwords, and what admits to a swarm, out of everything that is printed or kept."""

from __future__ import annotations

import re
from collections.abc import Iterable

STARS = "********"
SHORTEST = 4  # masking shorter ones would only garble the text

# A swarm's join tokens and unlock keys tell themselves by how they begin.
SWARM_SECRETS = re.compile(r"\b(SWMTKN|SWMKEY)-[\w+/-]+")


def mask(text: str, secrets: Iterable[str]) -> str:
    """``text`` with every secret replaced by stars, those of any swarm among them."""
    for secret in secrets:
        text = text.replace(secret, STARS)
    return SWARM_SECRETS.sub(rf"\1-{STARS}", text)

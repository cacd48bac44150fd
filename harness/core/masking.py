"""Keep passwords and swarm tokens out of everything that is printed or stored."""

from __future__ import annotations

import re
from collections.abc import Iterable

STARS = "********"
SHORTEST = 4  # masking shorter ones would only garble the text

# A swarm's join tokens and unlock keys have known prefixes.
SWARM_SECRETS = re.compile(r"\b(SWMTKN|SWMKEY)-[\w+/-]+")


def mask(text: str, secrets: Iterable[str]) -> str:
    """``text`` with every secret replaced by stars, including the tokens of any swarm."""
    for secret in secrets:
        text = text.replace(secret, STARS)
    return SWARM_SECRETS.sub(rf"\1-{STARS}", text)

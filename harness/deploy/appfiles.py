"""Variables of compose files, as the conversion to a stack replaces them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from harness.core.documents import LARGEST_TEXT
from harness.core.errors import TopologyError

# A default may hold a variable in turn: ${A:-${B:-c}}.
VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-?+])((?:\$\{[^}]*\}|[^}])*))?\})")


def interpolate(text: str, environment: Mapping[str, str], *, file: Path | str) -> str:
    """``text`` with ``$NAME``, ``${NAME}``, ``${NAME:-default}`` and the like replaced, as compose does it.

    ``$$`` is a dollar sign. Raises ``TopologyError`` for a ``${NAME?message}`` that is not given.
    """

    left = LARGEST_TEXT

    def replace(match: re.Match[str]) -> str:
        nonlocal left
        value = replaced(match)
        left -= len(value)
        if left < 0:
            problem = f"with its variables replaced, a value is longer than {LARGEST_TEXT} characters"
            raise TopologyError(problem, file=file, remedy="use the variable less often")
        return value

    def replaced(match: re.Match[str]) -> str:
        escaped, plain, braced, operator, word = match.groups()
        if escaped:
            return "$"
        value = environment.get(plain or braced)
        given = value if value or not (operator or "").startswith(":") else None
        if operator in ("-", ":-") and given is None:
            return interpolate(word, environment, file=file)
        if operator in ("?", ":?") and given is None:
            raise TopologyError(
                f"{braced} is not set: {word}", file=file, remedy="add it to the service's environment"
            )
        if operator in ("+", ":+"):
            return "" if given is None else interpolate(word, environment, file=file)
        return value or ""

    return VARIABLE.sub(replace, text)

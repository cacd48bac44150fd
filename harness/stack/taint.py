"""Taint: marks within values, for as long as a file is being converted.

A secret value is marked, and the mark goes wherever ``${NAME}`` brings the value, so that a secret in a
visible place is noticed. Another mark stands in for a value that only a deployment will have; in the stack's
text that is ``${NAME}``. The marks are characters of Unicode's private use area, which no compose file holds.
"""

from __future__ import annotations

import re

from harness.core.masking import STARS

SECRET, END_SECRET, DEFERRED, END_DEFERRED = "\ue000", "\ue001", "\ue002", "\ue003"
ANY = re.compile(f"[{SECRET}-{END_DEFERRED}]")
VARIABLES = re.compile(r"(?<!\$)(?:\$\$)*\$\{(\w+)\}")
SECRETS = re.compile(f"{SECRET}[^{END_SECRET}]*{END_SECRET}")
DEFERREDS = re.compile(f"{DEFERRED}([^{END_DEFERRED}]*){END_DEFERRED}")


def secret(value: str) -> str:
    """The value, marked as secret. An empty one needs no mark."""
    return f"{SECRET}{value}{END_SECRET}" if value else value


def is_secret(text: str) -> bool:
    """Whether ``text`` has anything secret in it."""
    return SECRET in text


def untainted(text: str) -> str:
    """``text`` without the marks of secrecy."""
    return text.replace(SECRET, "").replace(END_SECRET, "")


def masked(text: str) -> str:
    """``text`` for a message: stars in place of secrets."""
    return DEFERREDS.sub(r"${\1}", SECRETS.sub(STARS, text))


def deferred(name: str) -> str:
    """What stands in for a value that only a deployment will have."""
    return f"{DEFERRED}{name}{END_DEFERRED}"


def deferred_names(text: str) -> tuple[str, ...]:
    """The names of the values in ``text`` that only a deployment will have."""
    return tuple(dict.fromkeys(DEFERREDS.findall(text)))


def variables(text: str) -> tuple[str, ...]:
    """The names of the variables in a stack file's text that its reader has to fill in."""
    return tuple(dict.fromkeys(VARIABLES.findall(text)))


def escaped(text: str) -> str:
    """``text`` as a stack file writes it: ``$$`` for a dollar sign, ``${NAME}`` for a placeholder."""
    return DEFERREDS.sub(r"${\1}", text.replace("$", "$$"))

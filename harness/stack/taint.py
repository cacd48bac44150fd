"""Marks within values, for as long as a file is being converted.

What is secret is marked wherever ``${NAME}`` brings it, so that it is noticed where it would be seen. And a
mark stands in for a value that only a deployment will know; in the stack's text that is ``${NAME}``.
The marks are characters of Unicode's private use area, which no compose file holds.
"""

from __future__ import annotations

import re

from harness.core.masking import STARS

SECRET, END_SECRET, LATER, END_LATER = "\ue000", "\ue001", "\ue002", "\ue003"
ANY = re.compile(f"[{SECRET}-{END_LATER}]")
FILLED = re.compile(r"(?<!\$)(?:\$\$)*\$\{(\w+)\}")
SECRETS = re.compile(f"{SECRET}[^{END_SECRET}]*{END_SECRET}")
LATERS = re.compile(f"{LATER}([^{END_LATER}]*){END_LATER}")


def secret(value: str) -> str:
    """The value, marked as one that must not be seen. An empty one gives nothing away."""
    return f"{SECRET}{value}{END_SECRET}" if value else value


def is_secret(text: str) -> bool:
    """Whether something of ``text`` must not be seen."""
    return SECRET in text


def bare(text: str) -> str:
    """``text`` as it is meant: without marks of secrecy."""
    return text.replace(SECRET, "").replace(END_SECRET, "")


def shown(text: str) -> str:
    """``text`` for a message: stars for what is secret."""
    return LATERS.sub(r"${\1}", SECRETS.sub(STARS, text))


def later(name: str) -> str:
    """What stands in for a value that only a deployment will know."""
    return f"{LATER}{name}{END_LATER}"


def laters(text: str) -> tuple[str, ...]:
    """The names of the values in ``text`` that only a deployment will know."""
    return tuple(dict.fromkeys(LATERS.findall(text)))


def filled(text: str) -> tuple[str, ...]:
    """The names that whoever reads the stack file is to fill in, in a text as the file says it."""
    return tuple(dict.fromkeys(FILLED.findall(text)))


def written(text: str) -> str:
    """``text`` as a stack file says it: ``$$`` for a dollar sign, ``${NAME}`` for what is to be filled in."""
    return LATERS.sub(r"${\1}", text.replace("$", "$$"))

"""docs/your-application.md: the topology that it builds, its commands, and what they are to print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from harness.run.settings import PROJECT

PAGE = PROJECT / "docs/your-application.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT, LEFT_OUT = "$ ", "..."
# What differs from run to run: seconds, addresses, and how many checks there are that were not chosen.
DIFFERS = (
    (re.compile(r"\d+(?:\.\d+)?(?= ?s\b)"), "N"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"), "ADDRESS"),
    (re.compile(r"\d+(?= skipped)"), "N"),
)


def topology() -> str:
    """All parts of the topology, in their order."""
    return "".join(text for kind, text in _blocks() if kind == "yaml")


def commands() -> dict[str, list[str]]:
    """The lines that each command is to print; lines that are left out are left out here too."""
    found: dict[str, list[str]] = {}
    for text in (text for kind, text in _blocks() if kind == "console"):
        for line in text.splitlines():
            if line.startswith(PROMPT):
                lines = found.setdefault(line.removeprefix(PROMPT), [])
            elif line != LEFT_OUT:
                lines.append(line)
    return found


def errors() -> list[str]:
    """The lines of error messages."""
    return [line for kind, text in _blocks() if kind == "text" for line in text.splitlines()]


def normalised(text: str, state_dir: Path) -> list[str]:
    """The lines of ``text`` without what differs from run to run."""
    text = text.replace(str(state_dir), ".wavetank")
    for pattern, word in DIFFERS:
        text = pattern.sub(word, text)
    return [line.rstrip() for line in text.splitlines()]


def _blocks() -> Iterator[tuple[str, str]]:
    yield from ((match[1], match[2]) for match in BLOCK.finditer(PAGE.read_text()))

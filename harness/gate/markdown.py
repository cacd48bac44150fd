"""The gate as Markdown for a pull request: a table, and below it the reasons of what did not pass.

Foreign texts (a check's reason, a workload's name) are escaped, so that they are shown as they are.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from harness.gate import words
from harness.gate.model import Gate, Judgement
from harness.gate.text import headline

HEAD = "| | Compared with | Now | Change | Verdict |\n| --- | --- | --- | --- | --- |"
LONGEST = 300
SHOWN = 10
# ASCII punctuation may be escaped by a backslash (CommonMark 0.31, section 2.4).
SPECIAL = re.compile(r"([\\`*_{}\[\]()#|~!])")
ENTITIES = {"@": "&#64;"}  # GitHub makes it a mention, even after a backslash


def markdown(gate: Gate) -> str:
    """The whole text, ending in a line feed."""
    rows = "\n".join(_row(each) for each in gate.judgements)
    parts = [f"### Gate: {gate.verdict}", escape(headline(gate)), f"{HEAD}\n{rows}"]
    wrong = [each for each in gate.judgements if each.verdict != "pass"]
    parts += [_listed(f"**{each.verdict}**, {each.kind}: {escape(each.told)}" for each in wrong)]
    parts += [_listed(f"note: {escape(note)}" for note in gate.notes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """A foreign text as one line that is shown as it is, clipped."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    if len(line) > LONGEST:
        line = f"{line[:LONGEST]}…"
    shown = SPECIAL.sub(r"\\\1", html.escape(line, quote=False))
    return "".join(ENTITIES.get(each, each) for each in shown)


def _row(judgement: Judgement) -> str:
    verdict = judgement.verdict if judgement.verdict == "pass" else f"**{judgement.verdict}**"
    name = escape(words.title(judgement.name))
    return f"| {name} | {_compared_with(judgement)} | {_now(judgement)} | {_change(judgement)} | {verdict} |"


def _compared_with(judgement: Judgement) -> str:
    if judgement.limit is not None:
        sign = "≥" if judgement.name in words.LOWER_IS_WORSE else "≤"
        return f"{sign} {words.amount(judgement.name, judgement.limit)}"
    if judgement.baseline is not None:
        return words.interval(judgement.name, judgement.baseline)
    return "baseline" if judgement.kind == "baseline" else ""


def _now(judgement: Judgement) -> str:
    return "" if judgement.now is None else words.interval(judgement.name, judgement.now)


def _change(judgement: Judgement) -> str:
    if judgement.change is None:
        return ""
    return words.change(judgement.name, judgement.change, relative=judgement.relative)


def _listed(lines: Iterable[str]) -> str:
    found = list(lines)
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "\n".join(f"- {line}" for line in [*found[:SHOWN], *more])

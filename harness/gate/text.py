"""The gate in a few lines for the terminal."""

from __future__ import annotations

from collections import Counter

from harness.gate.model import GRAVITY, Gate


def text(gate: Gate) -> str:
    """Notes, a line for each judgement, and the verdict."""
    lines = [f"note: {note}" for note in gate.notes]
    lines += [f"{each.verdict:<12}  {each.kind:<11}  {each.told}" for each in gate.judgements]
    return "\n".join([*lines, headline(gate)])


def headline(gate: Gate) -> str:
    """The run, its verdict, and the number of judgements with each verdict."""
    counts = Counter(each.verdict for each in gate.judgements)
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in reversed(GRAVITY) if counts[verdict])
    return f"{gate.run} on {gate.target}: {gate.verdict} ({summary or 'nothing was judged'})"

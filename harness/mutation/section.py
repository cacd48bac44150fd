"""The report's ``mutation``: the score, the survivors, and what noticed each. Shapes: docs/mutation.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.mutation.kinds import KINDS
from harness.mutation.model import Outcome, Verdict


def section(verdicts: Sequence[Verdict], seconds: float, *, partial: str = "") -> dict[str, Any]:
    """The ``mutation`` of a report. ``mutants`` are those that change something; equivalent ones are apart,
    and those that could not be brought about.

    ``score`` counts what packets, or checks, killed, of all kinds together and in ``kinds`` of each;
    ``score_with_rules`` also what only the reported rules gave away. ``hidden`` are the killed ones that
    could only be observed with the rules at the other end opened.
    """
    ran = [each for each in verdicts if each.outcome not in ("equivalent", "not applied")]
    killed, noticed = _of(ran, "killed"), _of(ran, "noticed")
    return {
        "mutants": len(ran),
        "killed": len(killed),
        "score": _share(len(killed), len(ran)),
        "noticed": len(noticed),
        "score_with_rules": _share(len(killed) + len(noticed), len(ran)),
        "kinds": _by_kind(ran),
        "hidden": sum(not each.visible for each in killed),
        "seconds": round(seconds, 3),
        "partial": partial,
        "survivors": [_line(each) for each in _of(ran, "survived")],
        "rules_only": [_line(each) for each in noticed],
        "inconclusive": [_line(each) for each in _of(ran, "inconclusive")],
        "equivalent": [_line(each) for each in _of(verdicts, "equivalent")],
        "not_applied": [_line(each) for each in _of(verdicts, "not applied")],
        "results": [
            {
                "mutant": str(each.mutant),
                "kind": each.mutant.kind,
                "outcome": each.outcome,
                "killed_by": list(each.killed_by),
                "hidden": not each.visible,
                "why": each.why,
                "seconds": round(each.seconds, 3),
            }
            for each in ran
        ],
    }


def exit_code(section: dict[str, Any]) -> int:
    """0: every one was killed. 1: some survived. 2: none did, but some are in doubt or were not tried."""
    if section["survivors"] or section["rules_only"]:
        return 1
    doubtful = section["inconclusive"] or section["not_applied"]
    unfinished = doubtful or section["partial"] or not section["mutants"]
    return 2 if unfinished else 0


def summary(section: dict[str, Any]) -> str:
    """The section in a few lines for people."""
    lines = [
        *(f"survived      {each}" for each in section["survivors"]),
        *(f"rules only    {each}" for each in section["rules_only"]),
        *(f"inconclusive  {each}" for each in section["inconclusive"]),
        *(f"equivalent    {each}" for each in section["equivalent"]),
        *(f"not applied   {each}" for each in section["not_applied"]),
        *(
            f"{kind:20} {each['killed']} of {each['mutants']} ({each['score']:.1%})"
            for kind, each in section["kinds"].items()
        ),
        f"{section['killed']} of {section['mutants']} mutants of {len(section['kinds'])} kinds killed by "
        f"packets or checks ({section['score']:.1%}), {section['hidden']} of them with the rules at the "
        "other end opened to see them; "
        f"{section['noticed']} noticed by the rules alone ({section['score_with_rules']:.1%} in all); "
        f"{len(section['equivalent'])} equivalent; {len(section['not_applied'])} could not be applied; "
        f"{section['seconds']:.0f} s",
    ]
    return "\n".join([*lines, section["partial"]] if section["partial"] else lines)


def _by_kind(ran: Sequence[Verdict]) -> dict[str, dict[str, float]]:
    """For each kind that was tried: how many changed something, how many were killed, and the share."""
    made: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        if of := [each for each in ran if each.mutant.kind == kind]:
            killed = len(_of(of, "killed"))
            made[kind] = {"mutants": len(of), "killed": killed, "score": _share(killed, len(of))}
    return made


def _of(verdicts: Sequence[Verdict], outcome: Outcome) -> list[Verdict]:
    return [each for each in verdicts if each.outcome == outcome]


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _line(verdict: Verdict) -> str:
    return f"{verdict.mutant}: {verdict.why}" if verdict.why else str(verdict.mutant)

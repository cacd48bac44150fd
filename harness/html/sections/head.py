"""The run, its verdict, and where it ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.html.words import SYMBOLS, count, plural, seconds

NAME = "head"
TITLE = ""
VERDICTS = {
    "pass": ("Pass", "Everything that was checked is as intended."),
    "fail": ("Fail", "Something is not as intended."),
    "inconclusive": ("Inconclusive", "Nothing failed, but not everything could be proven."),
}
OUTCOMES = ("passed", "failed", "inconclusive", "skipped")


def content(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """The verdict with its reasons, counts, and the run's circumstances."""
    verdict = report.get("verdict", "inconclusive")
    word, sentence = VERDICTS.get(verdict, VERDICTS["inconclusive"])
    return {
        "run": report.get("run", "unknown"),
        "verdict": verdict if verdict in VERDICTS else "inconclusive",
        "word": word,
        "symbol": SYMBOLS.get(verdict, "?"),
        "sentence": sentence,
        "error": report.get("error"),
        "notes": report.get("notes", []),
        "reasons": list(_reasons(report)),
        "counts": _counts(report),
        "facts": list(_facts(report)),
    }


def _counts(report: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    outcomes = [check.get("outcome") for check in report.get("checks", [])]
    return [(name, SYMBOLS[name], outcomes.count(name)) for name in OUTCOMES]


def _reasons(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Why it is not a pass, each with the anchor of the details."""
    isolation, checks = report.get("isolation", {}), report.get("checks", [])
    if number := len(isolation.get("violations", [])):
        yield plural(number, "violation") + " of the isolation", "#violations"
    if number := len(isolation.get("inconclusive", [])):
        yield plural(number, "pair") + " of addresses without a verdict", "#doubts"
    if partial := isolation.get("partial"):
        yield f"the scan is partial: {partial}", "#matrix"
    if number := sum(check.get("outcome") == "failed" for check in checks):
        yield plural(number, "check") + " failed", "#failed"
    if number := sum(check.get("outcome") == "inconclusive" for check in checks):
        yield plural(number, "check") + " inconclusive", "#failed"
    if survivors := report.get("mutation", {}).get("survivors"):
        yield plural(len(survivors), "mutant") + " survived", "#mutation"
    for entry in report.get("load") or ():
        if entry["verdict"] != "pass":
            yield f"{entry['experiment']} under load: {entry['verdict']}", "#load"
    if not any(check.get("outcome") != "skipped" for check in checks) and not report.get("load"):
        yield "nothing was checked", "#differences"


def _facts(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    where, total = report.get("environment", {}), report.get("timings", {}).get("total")
    yield "topology", report.get("topology", "unknown")
    yield (
        "target",
        {"local": "local (emulated)", "do": "DigitalOcean"}.get(report.get("target", ""), "unknown"),
    )
    if report.get("existing"):
        yield "deployment", f"an existing one, tagged {report['existing']}, read only"
    yield "when", _when(report)
    if total is not None:
        yield "took", seconds(total)
    if isolation := report.get("isolation"):
        ports = f"{count(isolation['pairs'])} pairs × {count(isolation['ports_per_pair'])} TCP ports"
        yield "scanned", f"{ports} in {seconds(isolation['seconds'])}"
    yield "machine", _machine(where)
    yield "engine", where.get("engine") or "none"
    yield "software", f"Wavetank {where.get('wavetank', 'unknown')}, Python {where.get('python', 'unknown')}"
    if where.get("plane"):
        yield "data plane", where["plane"]
    if lacking := [name for name, there in where.get("capabilities", {}).items() if not there]:
        yield "kernel lacks", ", ".join(lacking)


def _when(report: Mapping[str, Any]) -> str:
    """``2026-11-24 21:04:11 UTC to 21:05:47 UTC``: the day once, where it is the same."""
    start, end = (str(report.get(key) or "").replace("T", " ") for key in ("started", "finished"))
    same_day = start.partition(" ")[0] + " "
    times = [each for each in (start, end.removeprefix(same_day)) if each]
    return " to ".join(times).replace("+00:00", " UTC") or "not recorded"


def _machine(where: Mapping[str, Any]) -> str:
    parts = [f"{where['cores']} cores"] if where.get("cores") else []
    parts += [f"{where['memory_mb'] / 1024:.0f} GiB"] if where.get("memory_mb") else []
    parts += [f"Linux {where['kernel']}"] if where.get("kernel") else []
    return ", ".join(parts) or "unknown"

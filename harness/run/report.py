"""``report.json`` and its HTML page: the deployment, timings, checks and their results.

``up`` writes it, the checks add to it, ``down`` completes it; each step replaces the file atomically, so
readers always find a complete file. ``report.schema.json`` beside this file describes it.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

from harness.core.documents import read_object
from harness.core.errors import TopologyError, UsageError
from harness.core.masking import mask
from harness.run.rundir import RunDir
from harness.target.target import Target
from harness.topology.deployment import Connection, DatabaseNode, Deployment, Node, secrets_of
from harness.topology.flows import intended
from harness.topology.model import Topology

SCHEMA = "wavetank/report/v1"
SCHEMA_FILE = Path(__file__).with_name("report.schema.json")

REMEDY = "remove it; `wavetank verify` and `wavetank bench` write another"
LISTED = ("checks", "droplets", "databases")
SHOWN: Mapping[type, str] = {dict: "an object", list: "a list", str: "a text", type(None): "null"}

Outcome = Literal["passed", "failed", "skipped", "inconclusive"]
Verdict = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class Check:
    """One check's result. ``reason``: why it did not pass, or empty; ``seconds``: how long it ran.

    ``evidence``: what it observed, passed or not, if it noted that.
    """

    id: str
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0
    evidence: str = ""


def verdict(checks: Sequence[Mapping[str, Any]], error: str | None = None) -> Verdict:
    """A failure outweighs a doubt, and a run in which nothing was checked is inconclusive."""
    outcomes = {check["outcome"] for check in checks}
    if error or "failed" in outcomes:
        return "fail"
    if "inconclusive" in outcomes or "passed" not in outcomes:
        return "inconclusive"
    return "pass"


def exit_code(given: Verdict) -> int:
    """0 pass, 1 fail, 2 inconclusive."""
    return {"pass": 0, "fail": 1, "inconclusive": 2}[given]


def start(run: str, target: str, topology: str) -> dict[str, Any]:
    """The report of a run that has just begun."""
    return {
        "schema": SCHEMA,
        "run": run,
        "target": target,
        "topology": topology,
        "verdict": "inconclusive",
        "error": None,
        "droplets": [],
        "databases": [],
        "timings": {},
        "environment": {},
        "checks": [],
    }


def update(
    run_dir: RunDir,
    *,
    target: Target,
    topology: str,
    deployment: Deployment | None = None,
    timings: Mapping[str, float] | None = None,
    checks: Iterable[Check] | None = None,
    sections: Mapping[str, Any] | None = None,
    error: str | None = None,
    fresh: bool = False,
    secrets: Iterable[str] = (),
) -> dict[str, Any]:
    """Update the run's report and return it. ``fresh`` begins a new one.

    Only what is given is replaced; timings are merged. ``sections`` are whole parts by their key, like
    ``isolation``. Passwords of ``deployment``, the token and ``secrets`` are masked everywhere, even where a
    check's reason or an error quotes them.
    """
    report = start(run_dir.run, target.name, topology) if fresh else _load_or_start(run_dir, target, topology)
    if deployment is not None:
        report |= parts(deployment)
    if checks is not None:
        report["checks"] = [{**asdict(check), "seconds": round(check.seconds, 3)} for check in checks]
    report |= sections or {}
    report["timings"] |= timings or {}
    report["environment"] = report["environment"] or environment(target)
    report |= {"started": report.get("started") or _now(), "finished": _now()}
    report["error"] = error
    report["verdict"] = verdict(report["checks"], error)
    passwords = secrets_of(deployment) if deployment else ()
    hidden = hide(report, [word for word in (target.token, *passwords, *secrets) if word])
    write(run_dir.report, hidden)
    _write_page(run_dir, hidden)
    return dict(hidden)


def parts(deployment: Deployment) -> dict[str, list[dict[str, Any]]]:
    """The ``droplets`` and ``databases`` of a report."""
    return {
        "droplets": [_droplet(node) for node in deployment.nodes.values()],
        "databases": [_database(node) for node in deployment.databases.values()],
    }


def intent(topology: Topology) -> list[dict[str, str]]:
    """The ``intent`` of a report: the intended flows, including logins by ``management``."""
    return [
        {
            "source": flow.source,
            "destination": flow.destination,
            "protocol": flow.protocol,
            "ports": "" if flow.protocol == "icmp" else flow.ports,
        }
        for flow in intended(topology)
    ]


def read(run_dir: RunDir) -> dict[str, Any]:
    """The run's report. Raises ``UsageError`` if there is none, or if it cannot be read."""
    file = run_dir.report
    if not os.path.lexists(file):
        raise UsageError(f"run {run_dir.run!r} has no report: {file}")
    document = read_object(file, "a report", remedy=REMEDY)
    if document.get("schema") != SCHEMA:
        problem = f"is not a report: its schema is {document.get('schema')!r}, not {SCHEMA!r}"
        raise TopologyError(problem, file=file, remedy=REMEDY)
    check_shape(document, file)
    return {**start(run_dir.run, "local", "unknown"), **document}


def check_shape(document: Mapping[str, Any], file: Path) -> None:
    """Raise ``TopologyError`` if a part that every reader of a report relies on has another form."""
    for key, usual in start("", "", "").items():
        value = document.get(key, usual)
        if not isinstance(value, str | None if usual is None else type(usual)):
            problem = f"is {SHOWN.get(type(value), 'no ' + type(usual).__name__)}"
            raise TopologyError(problem, file=file, field=key, remedy=REMEDY)
    for key in LISTED:
        for number, each in enumerate(document.get(key) or ()):
            if not isinstance(each, dict):
                raise TopologyError("is not an object", file=file, field=f"{key}[{number}]", remedy=REMEDY)
    for number, each in enumerate(document.get("checks") or ()):
        wrong = [name for name in ("id", "outcome", "reason") if not isinstance(each.get(name), str)]
        if wrong or each["outcome"] not in get_args(Outcome):
            field = f"checks[{number}].{(wrong or ['outcome'])[0]}"
            problem = "is not a valid value for a check"
            raise TopologyError(problem, file=file, field=field, remedy=REMEDY)


def write(file: Path, report: Mapping[str, Any]) -> None:
    """Replace ``file`` in one step; readers see the old report or the new one."""
    fresh = file.with_name(f".{file.name}-{os.getpid()}")
    fresh.write_text(json.dumps(report, indent=2) + "\n")
    fresh.replace(file)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write_page(run_dir: RunDir, report: Mapping[str, Any]) -> None:
    from harness import html  # jinja2 takes a moment, and most commands write no report

    html.write(report, run_dir.report.with_name(html.NAME))


def environment(target: Target) -> dict[str, Any]:
    """Where it ran: this machine, its engine, the capabilities of the target's kernel (none for a cloud)."""
    return {
        "kernel": platform.release(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "engine": engine_version(),
        "plane": str(target.info.get("plane", "")),
        "capabilities": dict(target.info.get("capabilities", {})),
        "wavetank": wavetank_version(),
        "python": platform.python_version(),
    }


def engine_version() -> str:
    """The local engine's version from the docker command; empty if there is no engine."""
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def wavetank_version() -> str:
    """The installed version; "unknown" when run from a tree that was never installed."""
    try:
        return version("wavetank")
    except PackageNotFoundError:
        return "unknown"


def hide(document: Any, words: Iterable[str]) -> Any:
    """The document with every occurrence of ``words`` in its texts masked."""
    words = tuple(words)
    if isinstance(document, str):
        return mask(document, words)
    if isinstance(document, dict):
        return {key: hide(value, words) for key, value in document.items()}
    if isinstance(document, list):
        return [hide(value, words) for value in document]
    return document


def summary(report: Mapping[str, Any]) -> str:
    """The report in a few lines for people: its notes, what did not pass and why, counts, the verdict."""
    checks = report["checks"]
    counts = {name: sum(check["outcome"] == name for check in checks) for name in get_args(Outcome)}
    lines = [f"note: {text}" for text in report.get("notes", ())]
    lines += [
        f"{check['outcome']}: {check['id']}: {check['reason']}"
        for check in checks
        if check["outcome"] in ("failed", "inconclusive")
    ]
    if report["error"]:
        lines.append(f"error: {report['error']}")
    counted = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no checks"
    name = f"existing {report['existing']}" if "existing" in report else report["run"]
    lines.append(f"{name} on {report['target']}: {report['verdict']} ({counted})")
    return "\n".join(lines)


def _load_or_start(run_dir: RunDir, target: Target, topology: str) -> dict[str, Any]:
    if run_dir.report.exists():
        return read(run_dir)
    return start(run_dir.run, target.name, topology)


def _droplet(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "id": node.id,
        "addresses": {"public": node.public_ip, "private": node.private_ip},
        "status": node.status,
    }


def _database(node: DatabaseNode) -> dict[str, Any]:
    return {
        "name": node.name,
        "id": node.id,
        "engine": node.engine,
        "addresses": {"public": _address(node.public), "private": _address(node.private)},
        "status": node.status,
    }


def _address(connection: Connection) -> str:
    return f"{connection.host}:{connection.port}"

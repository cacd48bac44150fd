"""``wavetank run``: up, verify, report, and down as ``keep`` says."""

from __future__ import annotations

import time
from typing import Any

from harness.core.progress import Progress
from harness.run import report
from harness.run.settings import Settings
from harness.run.up import Consent, Keep, down, down_if_stopped, gather_logs, release, up
from harness.verify.network import hostnet
from harness.verify.runner import run_checks


def run(
    settings: Settings,
    consent: Consent,
    progress: Progress,
    *,
    keep: Keep,
    keyword: str | None = None,
    faults: bool | None = None,
) -> tuple[dict[str, Any], int]:
    """Create a deployment, check it and delete it; returns the report and the exit code.

    ``keyword`` and ``faults`` select checks, as in :func:`harness.verify.runner.run_checks`.
    Raises ``WavetankError`` if it could not be created; the report is written then, too.
    """
    begun = time.monotonic()
    started = up(settings, consent, progress, keep=keep)
    choice, target = started.choice, started.target
    with down_if_stopped(started, progress, keep=keep):
        with progress.step("verify"):
            code = run_checks(choice, keyword=keyword, faults=faults)
        differs = ""
        if code != 0:
            gather_logs(started.access, started.deployment, progress)
        if keep == "never" or (keep == "on-failure" and code == 0):
            down(target, choice.run_dir, progress)
            differs = hostnet.changed(choice.run_dir)
        else:
            progress.note(f"kept: `wavetank down --run {choice.run}` deletes it")
        release(started.guard)
    timings = {**progress.timings, "total": round(time.monotonic() - begun, 3)}
    written = report.update(
        choice.run_dir,
        target=target,
        topology=started.topology.name,
        timings=timings,
        error=f"this machine's own network was changed by the run:\n{differs}" if differs else None,
    )
    return written, 1 if differs else code

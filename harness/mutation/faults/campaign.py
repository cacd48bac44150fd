"""The loop: each fault is applied, the checks that should notice it are run, and it is undone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from harness.core.errors import CheckError, WavetankError
from harness.mutation.apply import NotRestoredError
from harness.mutation.faults import journal, steps, suite
from harness.mutation.faults.model import Fault
from harness.mutation.faults.steps import Do
from harness.mutation.faults.suite import CheckResult, Outcomes
from harness.mutation.model import Verdict
from harness.run.rundir import RunDir

REASON = 300

ReportProgress = Callable[[int, int], None]
RunChecks = Callable[[Sequence[str]], Outcomes]


@dataclass(frozen=True)
class Campaign:
    """What a campaign needs. ``run_checks`` runs the checks with one of some words in their names, ``do``
    carries a step out.
    """

    run_dir: RunDir
    do: Do
    run_checks: RunChecks


def carry_out(
    campaign: Campaign, faults: Sequence[Fault], verdicts: list[Verdict], on_progress: ReportProgress
) -> None:
    """Try each fault and add its verdict to ``verdicts``, which holds those so far whatever ends this.

    The checks are run before the first fault, too, and after the last one. Whatever happens, what was
    broken is restored; where that fails, or a check that passed fails at the end, ``NotRestoredError`` is
    raised.
    """
    if not faults:
        return
    words = [each.check for each in faults]
    before = campaign.run_checks(words)
    for number, fault in enumerate(faults):
        on_progress(number, len(faults))
        verdicts.append(_timed(campaign, fault, suite.matching(before, fault.check)))
    on_progress(len(faults), len(faults))
    left = _red(campaign.run_checks(words), before)
    if left:
        raise NotRestoredError(campaign.run_dir.run, "; ".join(_describe(left)))


def _timed(campaign: Campaign, fault: Fault, before: Outcomes) -> Verdict:
    begun = time.monotonic()
    made = _verdict(campaign, fault, before)
    return replace(made, seconds=time.monotonic() - begun)


def _verdict(campaign: Campaign, fault: Fault, before: Outcomes) -> Verdict:
    usable = [name for name, found in before.items() if found.outcome == "passed"]
    if before and not usable:
        name, found = next(iter(before.items()))
        return Verdict(
            fault, "inconclusive", why=f"{name} is {found.outcome} before anything is done: {found.reason}"
        )
    try:
        with _broken(campaign, fault):
            after = suite.matching(campaign.run_checks([fault.check]), fault.check)
    except NotAppliedError as error:
        return Verdict(fault, "not applied", why=str(error))
    except NotRestoredError:
        raise
    except WavetankError as error:
        return Verdict(fault, "inconclusive", why=str(error))
    return judge(fault, before, after)


def judge(fault: Fault, before: Outcomes, after: Outcomes) -> Verdict:
    """A check that was green and is red has noticed; doubt is no notice."""
    red = _red(after, before)
    if red:
        return Verdict(fault, "killed", tuple(f"check: {each}" for each in _describe(red)))
    doubts = {name: found for name, found in after.items() if found.outcome == "inconclusive"}
    if doubts:
        return Verdict(fault, "inconclusive", why="; ".join(_describe(doubts)))
    missing = "is not in this suite" if not after else "stayed green"
    return Verdict(fault, "survived", why=f"{fault.check}, which should notice, {missing}")


class NotAppliedError(Exception):
    """A fault could not be brought about."""


@contextmanager
def _broken(campaign: Campaign, fault: Fault) -> Iterator[None]:
    """The fault in the deployment for the length of the block."""
    journal.write(campaign.run_dir, fault.undo)
    try:
        try:
            campaign.do(fault.do)
        except (WavetankError, CheckError) as error:
            raise NotAppliedError(str(error)[-REASON:]) from error
        yield
    finally:
        steps.undo(campaign.do, fault.undo, campaign.run_dir)


def _red(after: Outcomes, before: Outcomes) -> dict[str, CheckResult]:
    green = {name for name, found in before.items() if found.outcome == "passed"}
    return {name: found for name, found in after.items() if found.outcome == "failed" and name in green}


def _describe(found: Outcomes) -> list[str]:
    return [f"{name}: {' '.join(each.reason.split())[:REASON]}" for name, each in found.items()]

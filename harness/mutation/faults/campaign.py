"""The loop: one fault after the other, looked at by the checks that should notice, and mended again."""

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
from harness.mutation.faults.suite import Found, Outcomes
from harness.mutation.model import Verdict
from harness.run.rundir import RunDir

REASON = 300

Told = Callable[[int, int], None]
Ask = Callable[[Sequence[str]], Outcomes]


@dataclass(frozen=True)
class Campaign:
    """What a campaign needs. ``ask`` runs the checks with one of some words in their names, ``do``
    carries a step out.
    """

    run_dir: RunDir
    do: Do
    ask: Ask


def carry_out(campaign: Campaign, faults: Sequence[Fault], verdicts: list[Verdict], told: Told) -> None:
    """Try each fault and add its verdict to ``verdicts``, which holds those so far whatever ends this.

    The checks are asked before the first fault, too, and after the last one. Whatever happens, what was
    broken is mended; where that fails, or a check that was green is red at the end, ``NotRestoredError`` is
    raised.
    """
    if not faults:
        return
    words = [each.check for each in faults]
    before = campaign.ask(words)
    for number, fault in enumerate(faults):
        told(number, len(faults))
        verdicts.append(_timed(campaign, fault, suite.of(before, fault.check)))
    told(len(faults), len(faults))
    left = _red(campaign.ask(words), before)
    if left:
        raise NotRestoredError(campaign.run_dir.run, "; ".join(_told(left)))


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
            after = suite.of(campaign.ask([fault.check]), fault.check)
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
        return Verdict(fault, "killed", tuple(f"check: {each}" for each in _told(red)))
    doubts = {name: found for name, found in after.items() if found.outcome == "inconclusive"}
    if doubts:
        return Verdict(fault, "inconclusive", why="; ".join(_told(doubts)))
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


def _red(after: Outcomes, before: Outcomes) -> dict[str, Found]:
    green = {name for name, found in before.items() if found.outcome == "passed"}
    return {name: found for name, found in after.items() if found.outcome == "failed" and name in green}


def _told(found: Outcomes) -> list[str]:
    return [f"{name}: {' '.join(each.reason.split())[:REASON]}" for name, each in found.items()]

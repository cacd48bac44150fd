"""The loop: each mutant is put in force and observed, and everything is restored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from harness.core.errors import WaitTimeoutError, WavetankError
from harness.core.ports import Ports
from harness.core.signals import deferred
from harness.core.wait import NotYet, wait_for
from harness.firewall.model import FirewallState, Pair
from harness.mutation import apply, journal, judge
from harness.mutation.effect import Baseline, Effect, effect
from harness.mutation.judge import EvidenceSources
from harness.mutation.model import Mutant, Verdict
from harness.run.rundir import RunDir
from harness.target.api import Api
from harness.topology.model import Protocol

TRUST_DEADLINE = 10.0

Red = Callable[[Pair, Protocol, Ports], bool]
ReportProgress = Callable[[int, int], None]
Observe = Callable[[], tuple[tuple[str, ...], str]]  # what was observed, and why it is in doubt


@dataclass(frozen=True)
class Campaign:
    """What a campaign needs. ``red`` says whether it breaks the intent if these ports are reachable, or not,
    other than before; ``whole`` is whether asking every TCP port of a pair is cheap.
    """

    api: Api
    run_dir: RunDir
    base: Baseline
    evidence_sources: EvidenceSources
    red: Red
    whole: bool

    @property
    def run(self) -> str:
        return self.base.network.run


def restore(api: Api, run_dir: RunDir) -> bool:
    """Restore what an earlier campaign that was killed has left; returns whether there was anything.

    Raises ``NotRestoredError``.
    """
    original = journal.read(run_dir)
    if original is None:
        return False
    with deferred("the rules are restored"):
        apply.restore(api, original, run_dir.run)
        journal.forget(run_dir)
    return True


def carry_out(
    campaign: Campaign, mutants: Sequence[Mutant], verdicts: list[Verdict], on_progress: ReportProgress
) -> None:
    """Try each mutant and add its verdict to ``verdicts``, which holds those so far whatever ends this.

    Whatever happens, what was in force before is restored; where that fails ``NotRestoredError`` is
    raised, and the journal stays for :func:`restore`. A mutant whose evidence sources fail is inconclusive.
    """
    with _restored(campaign):
        for number, mutant in enumerate(mutants):
            on_progress(number, len(mutants))
            verdicts.append(_timed(campaign, mutant))
        on_progress(len(mutants), len(mutants))


@contextmanager
def _restored(campaign: Campaign) -> Iterator[None]:
    """Keep the journal while the block changes things, and restore everything at its end."""
    original = campaign.base.network.state
    journal.write(campaign.run_dir, original)
    try:
        yield
    finally:
        with deferred("the rules are restored"):
            apply.restore(campaign.api, original, campaign.run)
            journal.forget(campaign.run_dir)


@contextmanager
def _in_force(campaign: Campaign, mutated: FirewallState) -> Iterator[None]:
    """Other firewalls and trusted sources in force for the length of the block."""
    original = campaign.base.network.state
    try:
        apply.put(campaign.api, campaign.base.network, mutated)
        yield
    finally:
        with deferred("the rules are restored"):
            apply.restore(campaign.api, original, campaign.run)


def _timed(campaign: Campaign, mutant: Mutant) -> Verdict:
    begun = time.monotonic()
    made = _verdict(campaign, mutant)
    return replace(made, seconds=time.monotonic() - begun)


def _verdict(campaign: Campaign, mutant: Mutant) -> Verdict:
    found = effect(campaign.base, mutant)
    if found.equivalent:
        return Verdict(mutant, "equivalent", why=found.equivalent, visible=False)
    try:
        return _tried(campaign, mutant, found)
    except apply.NotRestoredError:
        raise
    except WavetankError as error:
        return Verdict(mutant, "inconclusive", why=str(error), visible=not found.opened_ends)


def _tried(campaign: Campaign, mutant: Mutant, found: Effect) -> Verdict:
    network = campaign.base.network
    observe = _observer(campaign, found)
    trust_changed = mutant.state.trusted != network.state.trusted
    with _in_force(campaign, mutant.state):
        noticed = judge.noticed_by_rules(campaign.evidence_sources)
        if found.opened_ends:
            apply.put(campaign.api, network.under(mutant.state), found.opened_state)
        observed, doubt = _observe_until(observe, wanted=True) if trust_changed else observe()
    if trust_changed and observed:
        _observe_until(observe, wanted=False)
    return judge.verdict(mutant, found, observed, noticed, doubt)


def _observer(campaign: Campaign, found: Effect) -> Observe:
    """A function that returns what packets show of the mutant."""
    chosen = judge.choose(found.affected, campaign.red)
    questions = judge.questions(found.affected, chosen, whole=campaign.whole)

    def observe() -> tuple[tuple[str, ...], str]:
        return judge.observed_effects(campaign.evidence_sources, found, questions) if questions else ((), "")

    return observe


def _observe_until(observe: Observe, *, wanted: bool) -> tuple[tuple[str, ...], str]:
    """Observe until packets show the mutant, or no longer do: the API does not say when trust is in force."""
    last: list[tuple[tuple[str, ...], str]] = []

    def probe() -> None:
        last[:] = [observe()]
        if bool(last[0][0]) is not wanted:
            raise NotYet("; ".join(last[0][0]) or "nothing")

    what = "packets to show the change" if wanted else "trusted sources to be in force again"
    try:
        wait_for(what, probe, deadline=TRUST_DEADLINE)
    except WaitTimeoutError:
        if not wanted:
            raise
    return last[0]

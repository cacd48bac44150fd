"""The loop: one mutant after the other in force, looked at, and everything put back as it was."""

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
from harness.mutation.judge import Witnesses
from harness.mutation.model import Mutant, Verdict
from harness.run.rundir import RunDir
from harness.target.api import Api
from harness.topology.model import Protocol

TRUST_DEADLINE = 10.0

Red = Callable[[Pair, Protocol, Ports], bool]
Told = Callable[[int, int], None]
Look = Callable[[], tuple[tuple[str, ...], str]]  # what was seen, and why it is in doubt


@dataclass(frozen=True)
class Campaign:
    """What a campaign needs. ``red`` says whether it breaks the intent if these ports are reachable, or not,
    other than before; ``whole`` is whether asking every TCP port of a pair is cheap.
    """

    api: Api
    run_dir: RunDir
    base: Baseline
    witnesses: Witnesses
    red: Red
    whole: bool

    @property
    def run(self) -> str:
        return self.base.network.run


def mend(api: Api, run_dir: RunDir) -> bool:
    """Put back what an earlier campaign, killed in the middle, has left; says whether there was anything.

    Raises ``NotRestoredError``.
    """
    original = journal.read(run_dir)
    if original is None:
        return False
    with deferred("the rules are put back"):
        apply.restore(api, original, run_dir.run)
        journal.forget(run_dir)
    return True


def carry_out(campaign: Campaign, mutants: Sequence[Mutant], verdicts: list[Verdict], told: Told) -> None:
    """Try each mutant and add its verdict to ``verdicts``, which holds those so far whatever ends this.

    Whatever happens, what was in force before is put back; where that fails ``NotRestoredError`` is
    raised, and the journal stays for :func:`mend`. A mutant whose witnesses fail is inconclusive.
    """
    with _restored(campaign):
        for number, mutant in enumerate(mutants):
            told(number, len(mutants))
            verdicts.append(_timed(campaign, mutant))
        told(len(mutants), len(mutants))


@contextmanager
def _restored(campaign: Campaign) -> Iterator[None]:
    """Keep the journal while the block changes things, and put everything back at its end."""
    original = campaign.base.network.state
    journal.write(campaign.run_dir, original)
    try:
        yield
    finally:
        with deferred("the rules are put back"):
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
        with deferred("the rules are put back"):
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
        return Verdict(mutant, "inconclusive", why=str(error), visible=not found.behind)


def _tried(campaign: Campaign, mutant: Mutant, found: Effect) -> Verdict:
    network = campaign.base.network
    look = _look(campaign, found)
    trust_changed = mutant.state.trusted != network.state.trusted
    with _in_force(campaign, mutant.state):
        noticed = judge.notices(campaign.witnesses)
        if found.behind:
            apply.put(campaign.api, network.under(mutant.state), found.lifted)
        seen, doubt = _until(look, wanted=True) if trust_changed else look()
    if trust_changed and seen:
        _until(look, wanted=False)
    return judge.verdict(mutant, found, seen, noticed, doubt)


def _look(campaign: Campaign, found: Effect) -> Look:
    """What packets show of the mutant, whenever it is called."""
    chosen = judge.choose(found.affected, campaign.red)
    questions = judge.questions(found.affected, chosen, whole=campaign.whole)

    def look() -> tuple[tuple[str, ...], str]:
        return judge.see(campaign.witnesses, found, questions) if questions else ((), "")

    return look


def _until(look: Look, *, wanted: bool) -> tuple[tuple[str, ...], str]:
    """Look until packets show the mutant, or no longer do: the API does not say when trust is in force."""
    last: list[tuple[tuple[str, ...], str]] = []

    def probe() -> None:
        last[:] = [look()]
        if bool(last[0][0]) is not wanted:
            raise NotYet("; ".join(last[0][0]) or "nothing")

    what = "packets to show the change" if wanted else "trusted sources to be in force again"
    try:
        wait_for(what, probe, deadline=TRUST_DEADLINE)
    except WaitTimeoutError:
        if not wanted:
            raise
    return last[0]

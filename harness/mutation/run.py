"""``wavetank mutate`` as a whole: find the deployment, see that it is sound, break it, report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from harness import provision
from harness.access.ssh import Access, open_access
from harness.core.errors import CheckFailedError, UsageError
from harness.core.names import STRANGER
from harness.core.progress import Progress
from harness.firewall.from_api import read
from harness.firewall.model import Droplet, Network
from harness.isolation.bar import bar
from harness.isolation.counted import tampering
from harness.isolation.observe import is_witnessed
from harness.isolation.outsider import stranger
from harness.mutation import campaign, judge
from harness.mutation.effect import Baseline, Effect, baseline, effect, merged
from harness.mutation.evidence import Suite
from harness.mutation.faults import campaign as breaking
from harness.mutation.faults import steps
from harness.mutation.faults import suite as checks
from harness.mutation.faults.generate import faults
from harness.mutation.faults.model import Fault
from harness.mutation.generate import mutants
from harness.mutation.kinds import HOLES, KINDS
from harness.mutation.model import Mutant, Verdict
from harness.mutation.section import section
from harness.mutation.selection import Selection, select
from harness.run import lock, report, settings
from harness.run.session import session_of
from harness.run.settings import Choice
from harness.target.api import Api
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

SHOWN = 5


def mutate(choice: Choice, selection: Selection, progress: Progress) -> dict[str, Any]:
    """Try the selected mutants on a deployment that is up, and return the report's ``mutation``.

    The run is held meanwhile. What an earlier call, killed in the middle, has left is put back first.
    Raises ``UsageError`` where nothing is up, ``CheckFailedError`` where the deployment is not sound to
    begin with, ``NotRestoredError`` where it could not be left as it was.
    """
    topology = settings.load_topology(choice)
    target = settings.resolve_existing(choice, progress)
    target.require_machines()
    with lock.locked(choice.run_dir), Api(target) as api:
        if campaign.mend(api, choice.run_dir):
            progress.note("put back what an earlier mutate had left changed")
        session = session_of(choice, target, topology, _deployment(target, topology, choice))
        do = partial(steps.carry_out, session)
        if steps.mend(do, choice.run_dir):
            progress.note("mended what an earlier mutate had left broken")
        if changed := tampering.look(target):
            raise CheckFailedError(tampering.explained(changed))
        every = faults(topology, session.deployment, emulated=is_witnessed(target))
        made = _Made(target, topology, choice, selection, progress, every)
        with made.told():
            if set(selection.kinds or KINDS) & set(HOLES):
                with ExitStack() as stack:
                    with progress.step("stranger"):
                        found = stack.enter_context(stranger(target, topology, session.deployment))
                    access = _access(stack, choice, target, topology, session.deployment, found)
                    parts = {**session.parts(), "deployment": found, "access": access}
                    _campaign(Suite(**parts, api=api), made)
            else:
                made.choose(())
            _faults(made, do)
        return made.section


@dataclass
class _Made:
    """What a campaign has come to so far. ``every`` are the faults that there are to be selected from."""

    target: Target
    topology: Topology
    choice: Choice
    selection: Selection
    progress: Progress
    every: Sequence[Fault]
    chosen: Sequence[Mutant | Fault] = ()
    verdicts: list[Verdict] = field(default_factory=list)
    section: dict[str, Any] = field(default_factory=dict)

    def choose(self, mutants: Sequence[Mutant]) -> None:
        """Select from all kinds together. Raises ``UsageError`` where there is none."""
        self.chosen = select((*mutants, *self.every), self.selection)

    @property
    def mutants(self) -> list[Mutant]:
        return [each for each in self.chosen if isinstance(each, Mutant)]

    @property
    def faults(self) -> list[Fault]:
        return [each for each in self.chosen if isinstance(each, Fault)]

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell in the report what has come of it, whatever ends the block."""
        begun = time.monotonic()
        ended = "ended after {} of {} mutants"
        try:
            yield
            ended = ""
        finally:
            if self.chosen and (self.verdicts or not ended):
                why = ended.format(len(self.verdicts), len(self.chosen))
                self.section = section(self.verdicts, time.monotonic() - begun, partial=why)
                _write(self)


def _campaign(suite: Suite, made: _Made) -> None:
    """Mutants of the firewalls, while there is a stranger to look from."""
    network = _with_places(suite, read(suite.api, made.choice.run))
    made.choose(mutants(network))
    if not made.mutants:
        return
    base = baseline(network)
    whole = is_witnessed(suite.target)
    with made.progress.step("baseline"):
        _insist_on_soundness(suite, base, made.mutants, whole=whole)
    given = campaign.Campaign(suite.api, made.choice.run_dir, base, suite.witnesses(), suite.red, whole)
    with bar("mutants", unit="mutants") as told:
        campaign.carry_out(given, made.mutants, made.verdicts, told)


def _faults(made: _Made, do: steps.Do) -> None:
    """Faults of the deployment; checks that need a stranger make one of their own."""
    ask = partial(checks.ask, made.choice)
    given = breaking.Campaign(made.choice.run_dir, do, ask)
    with bar("faults", unit="faults") as told:
        breaking.carry_out(given, made.faults, made.verdicts, told)


def _insist_on_soundness(suite: Suite, base: Baseline, chosen: Sequence[Mutant], *, whole: bool) -> None:
    """One that is red before anything was mutated would kill every mutant. Raises ``CheckFailedError``."""
    witnesses = suite.witnesses()
    effects = [effect(base, each) for each in chosen]
    pairs = dict.fromkeys(pair for each in effects for pair in judge.choose(each.affected, suite.red))
    everything = merged(each.affected for each in effects)
    wrong = list(judge.notices(witnesses))
    if not wrong and pairs:
        asked = judge.questions(everything, list(pairs), whole=whole)
        wrong += judge.see(witnesses, Effect("", everything, base.network.state), asked)[0]
    if wrong:
        told = "\n  ".join(wrong[:SHOWN])
        raise CheckFailedError(
            f"run {base.network.run!r} is not as it is meant to be even before anything was mutated; "
            f"`wavetank diff` says more, `wavetank up` mends what is not as the topology says:\n  {told}"
        )


def _deployment(target: Target, topology: Topology, choice: Choice) -> Deployment:
    deployment = provision.observe(target, topology, choice.run)
    if set(deployment.nodes) != set(topology.droplets):
        raise UsageError(f"run {choice.run!r} is not (all) up on {choice.target}: `wavetank up` stands it up")
    return deployment


def _access(
    stack: ExitStack, choice: Choice, target: Target, topology: Topology, *seen: Deployment
) -> Access:
    """A way in to all vantages; only a cloud's prober logs in to the stranger, and it is forgotten again."""
    before, wider = seen
    if is_witnessed(target):
        return open_access(choice.run_dir, target, topology, before)
    stack.callback(open_access, choice.run_dir, target, topology, before)
    return open_access(choice.run_dir, target, topology, wider)


def _with_places(suite: Suite, network: Network) -> Network:
    """The network with the ends from which its outside is looked at; one that there is not has no address."""
    own = suite.deployment.nodes[STRANGER]
    operators = [each for each in suite.target.operators if each.endswith("/32")]
    return replace(
        network,
        others={STRANGER: Droplet(STRANGER, "", private=own.private_ip or "", public=own.public_ip or "")},
        operators=tuple(operators[:1]),
        internet=str(suite.target.info.get("internet_ip") or ""),
    )


def _write(made: _Made) -> None:
    """Add the section to the run's report; what else it says stays."""
    run_dir = made.choice.run_dir
    before = report.read(run_dir) if run_dir.report.exists() else {}
    report.update(
        run_dir,
        target=made.target,
        topology=made.topology.name,
        sections={"mutation": made.section},
        error=before.get("error"),
    )

"""``wavetank mutate`` as a whole: find the deployment, check that it is sound, break it, report."""

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
from harness.isolation.observe import has_packet_counters
from harness.isolation.outsider import outsider
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

    The run is held meanwhile. What an earlier call that was killed has left is restored first.
    Raises ``UsageError`` where nothing is up, ``CheckFailedError`` where the deployment is not sound to
    begin with, ``NotRestoredError`` where it could not be restored.
    """
    topology = settings.load_topology(choice)
    target = settings.resolve_existing(choice, progress)
    target.require_machines()
    with lock.locked(choice.run_dir), Api(target) as api:
        if campaign.restore(api, choice.run_dir):
            progress.note("restored the rules that an earlier mutate had left changed")
        session = session_of(choice, target, topology, _deployment(target, topology, choice))
        do = partial(steps.carry_out, session)
        if steps.restore(do, choice.run_dir):
            progress.note("restored what an earlier mutate had left broken")
        if changed := tampering.inspect(target):
            raise CheckFailedError(tampering.describe(changed))
        every = faults(topology, session.deployment, emulated=has_packet_counters(target))
        results = _Results(target, topology, choice, selection, progress, every)
        with results.reported():
            if set(selection.kinds or KINDS) & set(HOLES):
                with ExitStack() as stack:
                    with progress.step("outsider"):
                        found = stack.enter_context(outsider(target, topology, session.deployment))
                    access = _access(stack, choice, target, topology, session.deployment, found)
                    parts = {**session.parts(), "deployment": found, "access": access}
                    _campaign(Suite(**parts, api=api), results)
            else:
                results.choose(())
            _faults(results, do)
        return results.section


@dataclass
class _Results:
    """The results of a campaign so far. ``every`` are the faults to select from."""

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
    def reported(self) -> Iterator[None]:
        """Write the results into the report, whatever ends the block."""
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


def _campaign(suite: Suite, results: _Results) -> None:
    """Mutants of the firewalls, while there is an outsider to probe from."""
    network = _with_probe_sources(suite, read(suite.api, results.choice.run))
    results.choose(mutants(network))
    if not results.mutants:
        return
    base = baseline(network)
    whole = has_packet_counters(suite.target)
    with results.progress.step("baseline"):
        _require_sound_baseline(suite, base, results.mutants, whole=whole)
    given = campaign.Campaign(
        suite.api, results.choice.run_dir, base, suite.evidence_sources(), suite.red, whole
    )
    with bar("mutants", unit="mutants") as on_progress:
        campaign.carry_out(given, results.mutants, results.verdicts, on_progress)


def _faults(results: _Results, do: steps.Do) -> None:
    """Faults of the deployment; checks that need an outsider create one of their own."""
    run_checks = partial(checks.run_checks, results.choice)
    given = breaking.Campaign(results.choice.run_dir, do, run_checks)
    with bar("faults", unit="faults") as on_progress:
        breaking.carry_out(given, results.faults, results.verdicts, on_progress)


def _require_sound_baseline(suite: Suite, base: Baseline, chosen: Sequence[Mutant], *, whole: bool) -> None:
    """A check that fails before anything was mutated would kill every mutant. Raises ``CheckFailedError``."""
    evidence_sources = suite.evidence_sources()
    effects = [effect(base, each) for each in chosen]
    pairs = dict.fromkeys(pair for each in effects for pair in judge.choose(each.affected, suite.red))
    everything = merged(each.affected for each in effects)
    wrong = list(judge.noticed_by_rules(evidence_sources))
    if not wrong and pairs:
        asked = judge.questions(everything, list(pairs), whole=whole)
        wrong += judge.observed_effects(evidence_sources, Effect("", everything, base.network.state), asked)[
            0
        ]
    if wrong:
        listed = "\n  ".join(wrong[:SHOWN])
        raise CheckFailedError(
            f"run {base.network.run!r} is not as it is meant to be even before anything was mutated; "
            f"`wavetank diff` says more, `wavetank up` repairs what is not as the topology says:\n  {listed}"
        )


def _deployment(target: Target, topology: Topology, choice: Choice) -> Deployment:
    deployment = provision.observe(target, topology, choice.run)
    if set(deployment.nodes) != set(topology.droplets):
        raise UsageError(f"run {choice.run!r} is not (all) up on {choice.target}: `wavetank up` stands it up")
    return deployment


def _access(
    stack: ExitStack, choice: Choice, target: Target, topology: Topology, *deployments: Deployment
) -> Access:
    """Access to all probe sources; only a cloud's prober logs in to the outsider, and it is removed again."""
    before, wider = deployments
    if has_packet_counters(target):
        return open_access(choice.run_dir, target, topology, before)
    stack.callback(open_access, choice.run_dir, target, topology, before)
    return open_access(choice.run_dir, target, topology, wider)


def _with_probe_sources(suite: Suite, network: Network) -> Network:
    """The network with the probe sources outside of it; one that does not exist has no address."""
    own = suite.deployment.nodes[STRANGER]
    operators = [each for each in suite.target.operators if each.endswith("/32")]
    return replace(
        network,
        others={STRANGER: Droplet(STRANGER, "", private=own.private_ip or "", public=own.public_ip or "")},
        operators=tuple(operators[:1]),
        internet=str(suite.target.info.get("internet_ip") or ""),
    )


def _write(results: _Results) -> None:
    """Add the section to the run's report; what else it says stays."""
    run_dir = results.choice.run_dir
    before = report.read(run_dir) if run_dir.report.exists() else {}
    report.update(
        run_dir,
        target=results.target,
        topology=results.topology.name,
        sections={"mutation": results.section},
        error=before.get("error"),
    )

"""The whole flow: :func:`up` stands a topology up and leaves it answering, :func:`down` takes it away.

Each step lives in the module of its name; read this file to know the order and what happens on failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from harness import provision
from harness.access.ssh import Access
from harness.core import background, signals
from harness.core.errors import CheckError, ResourceError, WavetankError
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.deploy import collect_logs, deploy, prepare_images, require_programs
from harness.faults import link
from harness.isolation.counted import tampering
from harness.judge0 import frontdoor
from harness.mutation import journal
from harness.mutation.faults import steps
from harness.provision import Plan, Price
from harness.run import lease, lock, reaper, report
from harness.run.rundir import RunDir
from harness.run.session import Session, session_of
from harness.run.settings import Choice, Settings, choose_new, load_topology, remember, resolve
from harness.swarm import deploy as stack
from harness.target import emulator_process
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology
from harness.verify.network import hostnet

FIRST_SUBMISSION_DEADLINE = 60.0
BASTION_DEADLINE = 10.0  # for a look whether there is anything to collect from at all

Consent = Callable[[Price], None]
Agree = Callable[[Sequence[provision.Item]], None]
Keep = Literal["on-failure", "always", "never"]


@dataclass(frozen=True)
class Prepared:
    """What is known before anything is changed. ``host`` is this machine's network, where that matters."""

    choice: Choice
    target: Target
    topology: Topology
    plan: Plan
    existed: bool
    host: hostnet.Fingerprint | None = None


@dataclass(frozen=True)
class Started(Session):
    """A deployment that answers. ``changed`` are the ``service@node`` that were deployed anew, and what
    was changed about a swarm: ``service@swarm``, and its members in words.

    ``guard`` still holds the reaper over it: release it once the run is to outlive this process.
    """

    plan: Plan
    existed: bool
    changed: tuple[str, ...]
    guard: reaper.Guard


def prepare(settings: Settings, progress: Progress) -> Prepared:
    """Validate the topology, reach the target, choose the run and see what would change there."""
    draft = choose_new(settings)
    topology = load_topology(draft)
    require_programs(topology)
    host = None
    if draft.target == "local":
        emulator_process.use(settings.state_dir)
        host = hostnet.read() if hostnet.is_possible() else None
    target = resolve(settings, draft.target, progress)
    existing = provision.runs(target)
    choice = choose_new(settings, existing, databases=topology.databases)
    if lock.await_turn(choice.run_dir, progress):
        existing = provision.runs(target)
        choice = choose_new(settings, existing, databases=topology.databases)
    plan = provision.plan(target, topology, choice.run)
    return Prepared(choice, target, topology, plan, choice.run in existing, host)


def up(
    settings: Settings, consent: Consent, progress: Progress, *, keep: Keep = "never", alone: bool = False
) -> Started:
    """Stand a deployment up, or bring an existing one up to date. Raises ``WavetankError``.

    ``consent`` is asked before anything that costs is made, and raises to refuse. On failure, what this
    call began is taken down again unless ``keep`` says otherwise; a run that stood before is left as it is.
    ``on-failure`` keeps it when a step failed, but not when somebody interrupted or killed us.
    ``alone``: nothing follows, so that a signal that comes after all is done has nothing to stop.
    """
    with leaving_no_emulator(settings, progress):
        with progress.step("prepare"):
            prepared = prepare(settings, progress)
        target, topology, run_dir = prepared.target, prepared.topology, prepared.choice.run_dir
        if prepared.plan.of("create", "droplet", "database"):
            consent(provision.price(target, topology))
        run_dir.create()
        hostnet.save(run_dir, prepared.host)
        remember(prepared.choice)
    with guarded(prepared, progress, keep=keep) as guard:
        lease.keep(target, run_dir.run)
        images = background.start(lambda: prepare_images(topology, progress=progress))
        mend_links(prepared, progress)
        mend_network(target, progress)
        with progress.step("provision"):
            deployment = provision.provision(
                target, topology, run_dir.run, public_key=run_dir.public_key(), progress=progress, keep=True
            )
        journal.forget(run_dir)  # what a mutation had left changed is as the topology says again
        with progress.step("access"):
            session = session_of(prepared.choice, target, topology, deployment)
            access = session.access
            if steps.restore(partial(steps.carry_out, session), run_dir):
                progress.note("mended what a mutation had left broken")
        with progress.step("deploy"):
            images.finish()
            changed = deploy(target, topology, deployment, access, progress=progress).changed
        if topology.swarm:
            with progress.step("swarm"):
                changed += stack.deploy(topology, deployment, access, progress=progress).changed
        with progress.step("lock_down"):
            provision.lock_down(target, run_dir.run)
        with progress.step("first_submission"):
            first_submission(target, topology, deployment)
        report.update(
            run_dir,
            target=target,
            topology=topology.name,
            deployment=deployment,
            timings=progress.timings,
            fresh=True,
        )
        if alone:
            signals.settle()
    return Started(
        **session.parts(), plan=prepared.plan, existed=prepared.existed, changed=changed, guard=guard
    )


def mend_links(prepared: Prepared, progress: Progress) -> None:
    """Make links perfect that somebody made worse: before anything is powered on, which may be by them."""
    if not prepared.existed:
        return
    run = prepared.choice.run
    for node in link.restore(
        prepared.target, lambda: provision.observe(prepared.target, prepared.topology, run)
    ):
        progress.note(f"the links of {node} are perfect again")


@contextmanager
def leaving_no_emulator(settings: Settings, progress: Progress) -> Iterator[None]:
    """Where the block fails or is stopped, remove the emulator that it started, if no run is in it."""
    try:
        yield
    except BaseException as error:
        if (settings.target or "local") == "local" and emulator_process.directory(
            settings.state_dir
        ).is_dir():
            if isinstance(error, KeyboardInterrupt):
                signals.say(f"{error}: an emulator in which nothing was made yet goes, too")
            with suppress(WavetankError):  # what the block failed of says more
                _stop_if_unused(settings, progress)
        raise


def _stop_if_unused(settings: Settings, progress: Progress) -> None:
    found = emulator_process.status(settings.state_dir)
    if found is not None and found.auto:
        stop_if_empty(resolve(settings, "local", progress), settings.state_dir, progress)


def mend_network(target: Target, progress: Progress) -> None:
    """Have the emulated network put right where somebody changed it by hand."""
    for each in tampering.restore(target):
        progress.note(f"the emulated network was changed by hand, and is put right: {each}")


def down(target: Target, run_dir: RunDir, progress: Progress) -> None:
    """Take a run away and prove that nothing of it is left; what somebody else is bound to stays.

    Raises ``ResourceError`` where something is left.
    """
    _down(target, run_dir, progress, None)


def down_alone(
    target: Target, run_dir: RunDir, progress: Progress, agree: Agree, *, force: bool = False
) -> tuple[provision.Item, ...]:
    """Take a run away if nobody else uses it or is bound to it, and ``agree`` takes the list of what goes.

    Returns that list; empty: nothing is there. Raises ``UsageError`` before anything is changed.
    """
    seen = provision.inspect(target, run_dir.run)
    lease.check_free(run_dir.run, lease.alive(seen.leases), progress, force=force)
    provision.refuse(run_dir.run, seen.guests)
    for each in seen.lookalikes:
        progress.note(f"left alone: {each}: has a name of the run, and not its mark")
    if seen.items():
        agree(seen.items())
    _down(target, run_dir, progress, seen.items())
    return seen.items()


def _down(
    target: Target, run_dir: RunDir, progress: Progress, agreed: Sequence[provision.Item] | None
) -> None:
    lease.end(target, run_dir.run)
    try:
        with progress.step("down"):
            provision.destroy(target, run_dir.run, progress=progress, agreed=agreed)
            left = provision.leftovers(target, run_dir.run)
            if left:
                raise ResourceError("run", run_dir.run, f"still there after it was taken down: {left}")
        stop_if_empty(target, run_dir.state_dir, progress)
    except KeyboardInterrupt:
        signals.say(f"run {run_dir.run} may not be all gone: `wavetank down --run {run_dir.run}` sees to it")
        raise
    if differs := hostnet.changed(run_dir):
        progress.note(f"this machine's own network is not as it was before the run:\n{differs}")


def stop_if_empty(target: Target, state_dir: Path, progress: Progress) -> None:
    """Remove the emulator that a command started for a ``local`` target, once nothing is left in it."""
    if target.name != "local":
        return
    emulator_process.stop_unused(state_dir, lambda: provision.is_empty(target), progress)


def first_submission(target: Target, topology: Topology, deployment: Deployment) -> None:
    """Wait until a program handed in at the front door is Accepted, if the topology says how to."""
    door = topology.checks.front_door
    if door is None:
        return
    address = deployment.nodes[door.node].public_ip or ""
    with frontdoor.open_client(target, address) as client:

        def probe() -> None:
            try:
                frontdoor.double(client, door, "python", 21)
            except CheckError as error:
                raise NotYet(str(error)) from error

        wait_for("the first submission to be Accepted", probe, deadline=FIRST_SUBMISSION_DEADLINE)


@contextmanager
def guarded(prepared: Prepared, progress: Progress, *, keep: Keep) -> Iterator[reaper.Guard]:
    """Hold the reaper over a new run; on failure, log, report and take down what was begun.

    The reaper is let go only after that: should the cleaning up fail, it cleans up when we end.
    """
    choice, target = prepared.choice, prepared.target
    always = keep == "always" or prepared.existed
    guards: list[reaper.Guard] = []
    try:
        with signals.undisturbed():
            guards.append(reaper.guard(target, choice.run_dir, keep=always))
        yield guards[0]
    except BaseException as error:  # ctrl-C too must not leave half a deployment behind
        if not guards:  # somebody else works on the run
            raise
        kept = always or (keep == "on-failure" and isinstance(error, Exception))
        with _left_to_the_reaper(choice.run_dir, error, kept=kept):
            bundle_and_report(prepared, error, progress)
            if kept:
                progress.note(f"kept: `wavetank down --run {choice.run}` takes it away")
            else:
                down(target, choice.run_dir, progress)
        release(guards[0])
        raise


@contextmanager
def taken_down_if_stopped(started: Started, progress: Progress, *, keep: Keep) -> Iterator[None]:
    """Where a signal ends the block, take down what stands, unless it is to be kept or stood before."""
    run_dir = started.choice.run_dir
    kept = keep == "always" or started.existed
    try:
        yield
    except KeyboardInterrupt as error:
        with _left_to_the_reaper(run_dir, error, kept=kept):
            if kept:
                progress.note(f"kept: `wavetank down --run {run_dir.run}` takes it away")
            else:
                down(started.target, run_dir, progress)
        release(started.guard)
        raise


@contextmanager
def _left_to_the_reaper(run_dir: RunDir, error: BaseException, *, kept: bool) -> Iterator[None]:
    """Say at once what a signal leads to; should one end the block as well, the reaper begins as we end."""
    if isinstance(error, KeyboardInterrupt) and not kept:
        signals.say(f"{error}: taking run {run_dir.run} down; once more leaves that to its reaper")
    try:
        yield
    except KeyboardInterrupt:
        if not kept:
            signals.say(f"the reaper of run {run_dir.run} takes the rest down: {run_dir.path / reaper.LOG}")
        raise


def release(guard: reaper.Guard) -> None:
    """Let the reaper go, whole: one that hears half a word takes the run down."""
    with signals.undisturbed():
        guard.release()


def gather_logs(access: Access, deployment: Deployment, progress: Progress) -> None:
    """Collect every node's logs into the run's directory, unless there is no way in at all."""
    try:
        access.run(access.bastion, "true", deadline=BASTION_DEADLINE)
        progress.note(f"logs: {collect_logs(access, deployment, access.run_dir.logs)}")
    except WavetankError as error:
        progress.note(f"logs of the nodes could not be collected: {str(error).splitlines()[0]}")


def bundle_and_report(prepared: Prepared, error: BaseException, progress: Progress) -> None:
    """Keep what explains a failure: every node's log, unless we were stopped, and a report that says fail."""
    choice, target, topology = prepared.choice, prepared.target, prepared.topology
    deployment = None
    try:
        if isinstance(error, Exception):  # nobody wants to know why a run failed that he stopped
            deployment = provision.observe(target, topology, choice.run)
            access = session_of(choice, target, topology, deployment).access
            gather_logs(access, deployment, progress)
    except WavetankError as second:
        progress.note(f"the run cannot be looked at: {second}")
    report.update(
        choice.run_dir,
        target=target,
        topology=topology.name,
        deployment=deployment,
        timings=progress.timings,
        error=str(error) or type(error).__name__,
        fresh=True,
    )

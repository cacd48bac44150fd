"""The whole flow: :func:`up` stands a topology up and leaves it answering, :func:`down` takes it away.

Each step lives in the module of its name; read this file to know the order and what happens on failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness import background, emulation, links, provision, reaper, report, runlock
from harness.deploy import collect_logs, deploy, prepare_images
from harness.deployment import Deployment
from harness.errors import CheckError, ResourceError, WavetankError
from harness.isolation import tampering
from harness.mutation import journal
from harness.mutation.faults import steps
from harness.progress import Progress
from harness.provision import Plan, Price
from harness.rundir import RunDir
from harness.settings import Choice, Settings, choose_new, load_topology, remember, resolve
from harness.ssh import Access, open_access
from harness.swarm import deploy as stack
from harness.target import Target
from harness.topology.model import Topology
from harness.verify import frontdoor, hostnet
from harness.wait import NotYet, wait_for

FIRST_SUBMISSION_DEADLINE = 60.0
BASTION_DEADLINE = 10.0  # for a look whether there is anything to collect from at all

Consent = Callable[[Price], None]
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
class Standing:
    """A deployment that answers. ``changed`` are the ``service@node`` that were deployed anew, and what
    was changed about a swarm: ``service@swarm``, and its members in words.

    ``guard`` still holds the reaper over it: release it once the run is to outlive this process.
    """

    prepared: Prepared
    deployment: Deployment
    access: Access
    changed: tuple[str, ...]
    guard: reaper.Guard


def prepare(settings: Settings, progress: Progress) -> Prepared:
    """Validate the topology, reach the target, choose the run and see what would change there."""
    draft = choose_new(settings)
    topology = load_topology(draft)
    host = None
    if draft.target == "local":
        emulation.use(settings.state_dir)
        host = hostnet.read() if hostnet.is_possible() else None
    target = resolve(settings, draft.target, progress)
    existing = provision.runs(target)
    choice = choose_new(settings, existing, databases=topology.databases)
    if runlock.await_turn(choice.run_dir, progress):
        existing = provision.runs(target)
        choice = choose_new(settings, existing, databases=topology.databases)
    plan = provision.plan(target, topology, choice.run)
    return Prepared(choice, target, topology, plan, choice.run in existing, host)


def up(settings: Settings, consent: Consent, progress: Progress, *, keep: Keep = "never") -> Standing:
    """Stand a deployment up, or bring an existing one up to date. Raises ``WavetankError``.

    ``consent`` is asked before anything that costs is made, and raises to refuse. On failure, what this
    call began is taken down again unless ``keep`` says otherwise; a run that stood before is left as it is.
    ``on-failure`` keeps it when a step failed, but not when somebody interrupted or killed us.
    """
    with progress.step("prepare"):
        prepared = prepare(settings, progress)
    target, topology, run_dir = prepared.target, prepared.topology, prepared.choice.run_dir
    if prepared.plan.of("create", "droplet", "database"):
        consent(provision.price(target, topology))
    run_dir.create()
    hostnet.keep(run_dir, prepared.host)
    remember(prepared.choice)
    with guarded(prepared, progress, keep=keep) as guard:
        images = background.start(lambda: prepare_images(topology, run_dir.state_dir, progress=progress))
        mend_links(prepared, progress)
        mend_network(target, progress)
        with progress.step("provision"):
            deployment = provision.provision(
                target, topology, run_dir.run, public_key=run_dir.public_key(), progress=progress, keep=True
            )
        journal.forget(run_dir)  # what a mutation had left changed is as the topology says again
        with progress.step("access"):
            access = open_access(run_dir, target, topology, deployment)
            if steps.mend(steps.Hands(target, topology, deployment, access), run_dir):
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
    return Standing(prepared, deployment, access, changed, guard)


def mend_links(prepared: Prepared, progress: Progress) -> None:
    """Make links perfect that somebody made worse: before anything is powered on, which may be by them."""
    if not prepared.existed:
        return
    run = prepared.choice.run
    for node in links.mend(
        prepared.target, lambda: provision.observe(prepared.target, prepared.topology, run)
    ):
        progress.note(f"the links of {node} are perfect again")


def mend_network(target: Target, progress: Progress) -> None:
    """Have the emulated network put right where somebody changed it by hand."""
    for each in tampering.restore(target):
        progress.note(f"the emulated network was changed by hand, and is put right: {each}")


def down(target: Target, run_dir: RunDir, progress: Progress) -> None:
    """Take a run away and prove that nothing of it is left. Raises ``ResourceError`` where something is."""
    with progress.step("down"):
        provision.destroy(target, run_dir.run, progress=progress)
        left = provision.leftovers(target, run_dir.run)
        if left:
            raise ResourceError("run", run_dir.run, f"still there after it was taken down: {left}")
    stop_if_empty(target, run_dir.state_dir, progress)
    if differs := hostnet.changed(run_dir):
        progress.note(f"this machine's own network is not as it was before the run:\n{differs}")


def stop_if_empty(target: Target, state_dir: Path, progress: Progress) -> None:
    """Remove the emulator that a command started for a ``local`` target, once no run is left in it."""
    if target.name != "local":
        return
    emulation.stop_unused(state_dir, lambda: not provision.runs(target), progress)


def first_submission(target: Target, topology: Topology, deployment: Deployment) -> None:
    """Wait until a program handed in at the front door is Accepted, if the topology says how to."""
    door = topology.checks.front_door
    if door is None:
        return
    address = deployment.nodes[door.node].public_ip or ""
    with frontdoor.open_client(target, address) as client:

        def probe() -> None:
            try:
                frontdoor.double(client, door, frontdoor.language("python"), 21)
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
    guard = reaper.guard(target, choice.run_dir, keep=always)
    try:
        yield guard
    except BaseException as error:  # ctrl-C too must not leave half a deployment behind
        bundle_and_report(prepared, error, progress)
        if always or (keep == "on-failure" and isinstance(error, Exception)):
            progress.note(f"kept: `wavetank down --run {choice.run}` takes it away")
        else:
            down(target, choice.run_dir, progress)
        guard.release()
        raise


def gather_logs(access: Access, deployment: Deployment, progress: Progress) -> None:
    """Collect every node's logs into the run's directory, unless there is no way in at all."""
    try:
        access.run(access.bastion, "true", deadline=BASTION_DEADLINE)
        progress.note(f"logs: {collect_logs(access, deployment, access.run_dir.logs)}")
    except WavetankError as error:
        progress.note(f"logs of the nodes could not be collected: {str(error).splitlines()[0]}")


def bundle_and_report(prepared: Prepared, error: BaseException, progress: Progress) -> None:
    """Keep what explains a failure: every node's log and a report that says fail."""
    choice, target, topology = prepared.choice, prepared.target, prepared.topology
    deployment = None
    try:
        deployment = provision.observe(target, topology, choice.run)
        access = open_access(choice.run_dir, target, topology, deployment)
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

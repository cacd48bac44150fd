"""The whole flow: :func:`up` creates a deployment and waits until it answers, :func:`down` deletes it.

Each step is in the module of its name; this file has the order, and what happens on failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from harness import provision
from harness.access.ssh import Access
from harness.compose.networks import lost
from harness.core import background, signals
from harness.core.errors import CheckError, ResourceError, WavetankError
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.deploy import collect_logs, deploy, prepare_images, read_apps, require_programs
from harness.faults import link
from harness.isolation.counted import tampering
from harness.judge0 import frontdoor
from harness.mutation import journal
from harness.mutation.faults import steps
from harness.provision import Plan, Price
from harness.run import lease, lock, reaper, report, secrets
from harness.run.rundir import RunDir
from harness.run.session import Session, session_of
from harness.run.settings import Choice, Settings, choose_new, latest_run, load_topology, remember, resolve
from harness.stack.check import check as check_stack
from harness.swarm import deploy as stack
from harness.target import emulator_process
from harness.target.target import Target
from harness.topology.deployment import Deployment, is_complete
from harness.topology.model import Topology
from harness.topology.rendering import headers, projects
from harness.topology.rendering.imagined import imagined
from harness.topology.rendering.upstreams import Changed
from harness.verify.network import hostnet

FIRST_SUBMISSION_DEADLINE = 60.0
BASTION_DEADLINE = 10.0  # to find out whether there is anything to collect logs from

Consent = Callable[[Price], None]
Agree = Callable[[Sequence[provision.Item]], None]
Keep = Literal["on-failure", "always", "never"]


@dataclass(frozen=True)
class Prepared:
    """What is known before anything is changed. ``host`` is this machine's network, if that matters."""

    choice: Choice
    target: Target
    topology: Topology
    plan: Plan
    existed: bool
    host: hostnet.Fingerprint | None = None


@dataclass(frozen=True)
class Started(Session):
    """A deployment that answers. ``changed`` are the ``service@node`` that were deployed again, and the
    changes to a swarm: ``service@swarm``, and its members in words.

    ``guard`` is the reaper: release it once the run is to outlive this process.
    """

    plan: Plan
    existed: bool
    changed: tuple[str, ...]
    guard: reaper.Guard


def prepare(settings: Settings, progress: Progress) -> Prepared:
    """Validate the topology, connect to the target, choose the run and plan the changes."""
    latest = latest_run(settings.state_dir)  # for its application: whether it still exists is not known yet
    draft = choose_new(settings, [latest.run] if latest else [])
    topology = load_topology(draft, compose=True)
    require_programs(topology)
    secrets.check(topology)
    check_application(topology, progress)
    host = None
    if draft.target == "local":
        emulator_process.use(settings.state_dir)
        host = hostnet.read() if hostnet.is_possible() else None
    target = resolve(settings, draft.target, progress, droplets=topology.emulated_droplets)
    existing = provision.runs(target)
    choice = choose_new(settings, existing, topology)
    if lock.wait_until_free(choice.run_dir, progress):
        existing = provision.runs(target)
        choice = choose_new(settings, existing, topology)
    if choice.app != draft.app:
        topology = load_topology(choice, compose=True)
        check_application(topology, progress)
    if choice.app and not settings.app:
        progress.note(f"the application is {choice.app}, as --app of an earlier `up` of {choice.run} said")
    plan = provision.plan(target, topology, choice.run)
    return Prepared(choice, target, topology, plan, choice.run in existing, host)


def changed_files(prepared: Prepared) -> tuple[bool, list[Changed]]:
    """The application's files of which droplets get a changed copy, and whether their addresses are known.

    They are made up where the run is not there yet, or not all of it.
    """
    topology = prepared.topology
    if not any(each.changes.upstreams for each in topology.services):
        return prepared.existed, []
    made_up = imagined(topology)
    if prepared.existed:
        found = provision.observe(prepared.target, topology, prepared.choice.run)
        if is_complete(found, topology) and all(each.private_ip for each in found.nodes.values()):
            return True, projects.changed_files(topology, replace(found, secrets=made_up.secrets))
    return False, projects.changed_files(topology, made_up)


def check_application(topology: Topology, progress: Progress) -> None:
    """Raise ``TopologyError`` for what can be known without a deployment; note what networks took along."""
    apps = read_apps(topology)
    check_stack(topology, apps)
    for service in topology.services:
        for each in lost(apps[service.name]):
            progress.note(f"{service.name}: {each}")


def up(
    settings: Settings, consent: Consent, progress: Progress, *, keep: Keep = "never", alone: bool = False
) -> Started:
    """Create a deployment, or bring an existing one up to date. Raises ``WavetankError``.

    ``consent`` is called before anything that costs money is created, and raises to refuse. On failure, a run
    that this call began is deleted unless ``keep`` says otherwise; an existing run is left as it is.
    ``on-failure`` keeps it if a step failed, but not if this process was interrupted or killed.
    ``alone``: nothing follows, so that a signal after the last step has nothing to stop.
    """
    with emulator_removed_on_failure(settings, progress):
        with progress.step("prepare"):
            prepared = prepare(settings, progress)
        target, topology, run_dir = prepared.target, prepared.topology, prepared.choice.run_dir
        if prepared.plan.of("create", "droplet", "database"):
            consent(provision.price(target, topology))
        run_dir.create()
        secrets.create(topology, run_dir)
        hostnet.save(run_dir, prepared.host)
        remember(prepared.choice)
    with guarded(prepared, progress, keep=keep) as guard:
        lease.keep(target, run_dir.run)
        images = background.start(lambda: prepare_images(topology, progress=progress))
        restore_links(prepared, progress)
        restore_network(target, progress)
        with progress.step("provision"):
            deployment = provision.provision(
                target, topology, run_dir.run, public_key=run_dir.public_key(), progress=progress, keep=True
            )
        journal.forget(run_dir)  # what a mutation had left changed is as the topology says again
        with progress.step("access"):
            session = session_of(prepared.choice, target, topology, deployment)
            deployment, access = session.deployment, session.access
            if steps.restore(partial(steps.carry_out, session), run_dir):
                progress.note("restored what a mutation had left broken")
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
            signals.ignore_from_now_on()
    return Started(
        **session.parts(), plan=prepared.plan, existed=prepared.existed, changed=changed, guard=guard
    )


def restore_links(prepared: Prepared, progress: Progress) -> None:
    """Remove delay and loss from all links, before droplets are powered on over them."""
    if not prepared.existed:
        return
    run = prepared.choice.run
    for node in link.restore(
        prepared.target, lambda: provision.observe(prepared.target, prepared.topology, run)
    ):
        progress.note(f"removed delay and loss from the links of {node}")


@contextmanager
def emulator_removed_on_failure(settings: Settings, progress: Progress) -> Iterator[None]:
    """If the block fails or is stopped, remove the emulator that it started, unless it has a run."""
    try:
        yield
    except BaseException as error:
        if (settings.target or "local") == "local" and emulator_process.directory(
            settings.state_dir
        ).is_dir():
            if isinstance(error, KeyboardInterrupt):
                signals.write_stderr(f"{error}: removing the emulator, in which nothing was created yet")
            with suppress(WavetankError):  # the block's own error says more
                _stop_if_unused(settings, progress)
        raise


def _stop_if_unused(settings: Settings, progress: Progress) -> None:
    found = emulator_process.status(settings.state_dir)
    if found is not None and found.auto:
        stop_if_empty(resolve(settings, "local", progress), settings.state_dir, progress)


def restore_network(target: Target, progress: Progress) -> None:
    """Restore the emulated network if somebody changed it by hand."""
    for each in tampering.restore(target):
        progress.note(f"restored a manual change of the emulated network: {each}")


def down(target: Target, run_dir: RunDir, progress: Progress) -> None:
    """Delete a run and verify that nothing of it is left; resources that others depend on stay.

    Raises ``ResourceError`` if something is left.
    """
    _down(target, run_dir, progress, None)


def down_alone(
    target: Target, run_dir: RunDir, progress: Progress, agree: Agree, *, force: bool = False
) -> tuple[provision.Item, ...]:
    """Delete a run if nobody else uses it or depends on it, and ``agree`` accepts the list of resources.

    Returns that list; empty: there is nothing. Raises ``UsageError`` before anything is changed.
    """
    observed = provision.inspect(target, run_dir.run)
    lease.check_free(run_dir.run, lease.alive(observed.leases), progress, force=force)
    provision.refuse(run_dir.run, observed.guests)
    for each in observed.lookalikes:
        progress.note(f"not deleted: {each}: it has a name of the run, but not its mark")
    if observed.items():
        agree(observed.items())
    _down(target, run_dir, progress, observed.items())
    return observed.items()


def _down(
    target: Target, run_dir: RunDir, progress: Progress, agreed: Sequence[provision.Item] | None
) -> None:
    lease.end(target, run_dir.run)
    try:
        with progress.step("down"):
            provision.destroy(target, run_dir.run, progress=progress, agreed=agreed)
            left = provision.leftovers(target, run_dir.run)
            if left:
                raise ResourceError("run", run_dir.run, f"still there after it was deleted: {left}")
        stop_if_empty(target, run_dir.state_dir, progress)
    except KeyboardInterrupt:
        signals.write_stderr(
            f"run {run_dir.run} may not be completely deleted: repeat `wavetank down --run {run_dir.run}`"
        )
        raise
    if differs := hostnet.changed(run_dir):
        progress.note(f"this machine's own network was changed by the run:\n{differs}")


def stop_if_empty(target: Target, state_dir: Path, progress: Progress) -> None:
    """Remove an emulator that a command started for a ``local`` target, once it is empty."""
    if target.name != "local":
        return
    emulator_process.stop_unused(state_dir, lambda: provision.is_empty(target), progress)


def first_submission(target: Target, topology: Topology, deployment: Deployment) -> None:
    """Wait until a program submitted at the front door is Accepted, if the topology describes how to."""
    door = headers.front_door(topology, deployment)
    if door is None:
        return
    address = deployment.nodes[door.node].public_ip or ""
    with frontdoor.open_client(target, address, door) as client:

        def probe() -> None:
            try:
                frontdoor.double(client, door, frontdoor.main_language(door), 21)
            except CheckError as error:
                raise NotYet(str(error)) from error

        wait_for("the first submission to be Accepted", probe, deadline=FIRST_SUBMISSION_DEADLINE)


@contextmanager
def guarded(prepared: Prepared, progress: Progress, *, keep: Keep) -> Iterator[reaper.Guard]:
    """Start the reaper for a new run; on failure, collect logs, write the report and delete the run.

    The reaper is released only after that: if the cleanup fails, the reaper cleans up when this process ends.
    """
    choice, target = prepared.choice, prepared.target
    always = keep == "always" or prepared.existed
    guards: list[reaper.Guard] = []
    try:
        with signals.deferred():
            guards.append(reaper.guard(target, choice.run_dir, keep=always))
        yield guards[0]
    except BaseException as error:  # ctrl-C too must not leave half a deployment behind
        if not guards:  # another process works on the run
            raise
        kept = always or (keep == "on-failure" and isinstance(error, Exception))
        with _announcing_cleanup(choice.run_dir, error, kept=kept):
            bundle_and_report(prepared, error, progress)
            if kept:
                progress.note(f"kept: `wavetank down --run {choice.run}` deletes it")
            else:
                down(target, choice.run_dir, progress)
        release(guards[0])
        raise


@contextmanager
def down_if_stopped(started: Started, progress: Progress, *, keep: Keep) -> Iterator[None]:
    """If a signal ends the block, delete the deployment, unless it is to be kept or existed before."""
    run_dir = started.choice.run_dir
    kept = keep == "always" or started.existed
    try:
        yield
    except KeyboardInterrupt as error:
        with _announcing_cleanup(run_dir, error, kept=kept):
            if kept:
                progress.note(f"kept: `wavetank down --run {run_dir.run}` deletes it")
            else:
                down(started.target, run_dir, progress)
        release(started.guard)
        raise


@contextmanager
def _announcing_cleanup(run_dir: RunDir, error: BaseException, *, kept: bool) -> Iterator[None]:
    """Say at once what follows from a signal; if another one ends the block, the reaper cleans up."""
    if isinstance(error, KeyboardInterrupt) and not kept:
        signals.write_stderr(f"{error}: deleting run {run_dir.run}; another signal leaves that to its reaper")
    try:
        yield
    except KeyboardInterrupt:
        if not kept:
            signals.write_stderr(
                f"the reaper of run {run_dir.run} deletes the rest: {run_dir.path / reaper.LOG}"
            )
        raise


def release(guard: reaper.Guard) -> None:
    """Release the reaper without interruption: if it reads half of the message, it deletes the run."""
    with signals.deferred():
        guard.release()


def gather_logs(access: Access, deployment: Deployment, progress: Progress) -> None:
    """Collect every node's logs into the run's directory, unless the bastion cannot be reached."""
    try:
        access.run(access.bastion, "true", deadline=BASTION_DEADLINE)
        progress.note(f"logs: {collect_logs(access, deployment, access.run_dir.logs)}")
    except WavetankError as error:
        progress.note(f"logs of the nodes could not be collected: {str(error).splitlines()[0]}")


def bundle_and_report(prepared: Prepared, error: BaseException, progress: Progress) -> None:
    """Keep what explains a failure: every node's logs, unless we were stopped, and a failed report."""
    choice, target, topology = prepared.choice, prepared.target, prepared.topology
    deployment = None
    try:
        if isinstance(error, Exception):  # a run that the user stopped needs no explanation
            observed = provision.observe(target, topology, choice.run)
            session = session_of(choice, target, topology, observed)
            deployment = session.deployment
            gather_logs(session.access, deployment, progress)
    except WavetankError as second:
        progress.note(f"the run cannot be inspected: {second}")
    report.update(
        choice.run_dir,
        target=target,
        topology=topology.name,
        deployment=deployment,
        timings=progress.timings,
        error=str(error) or type(error).__name__,
        fresh=True,
        secrets=headers.secrets(topology, deployment) if deployment else (),
    )

"""The pytest plugin behind ``pytest --target=local`` and ``wavetank verify``.

Without ``--target`` it does nothing but leave ``harness.checks`` alone. With it, the run's deployment is
found through the API before anything is collected, checks may end *inconclusive*, and the report is written.
Where no file is named, the checks are those of ``harness.checks``. Those of something that the topology does
not have are not collected. With ``--existing`` the deployment is somebody else's: only checks that say what
they send are collected.
Everything else of the harness is imported only then.
"""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterable
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.core.errors import UsageError, WavetankError
from harness.core.paths import CHECKS
from harness.run import lease
from harness.run.settings import STATE_DIR, TARGETS, Settings, choose_existing

MARKS = (
    "needs(*names): is collected only for a topology that has these",
    "existing(sends): is collected for a deployment of somebody else's as well; sends api, requests or login",
    "disturbs(first, last): powers off machines or changes a swarm; such checks run after all others",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The same options as on Wavetank's own command line, with the same defaults."""
    group = parser.getgroup("wavetank", "checks of a deployment")
    group.addoption("--target", choices=TARGETS, help="check the deployment on this target")
    group.addoption("--topology", metavar="NAME|FILE", help="topology to check against (default: the run's)")
    group.addoption("--run", metavar="NAME", help="name of the run (default: the latest)")
    group.addoption("--app", type=Path, help="directory with the services' compose files")
    group.addoption(
        "--state-dir", type=Path, default=STATE_DIR, help="directory for the runs' keys, logs and reports"
    )
    group.addoption("--endpoint", metavar="URL", help="URL of the API, without /v2")
    group.addoption("--ca-file", type=Path, help="CA certificate to trust for the API")
    group.addoption("--proxy", metavar="URL", help="SOCKS5 proxy to public addresses")
    group.addoption(
        "--operator-cidr", action="append", default=[], metavar="CIDR", help="public address of this machine"
    )
    group.addoption("--existing", metavar="TAG", help="tag of a deployment that somebody else made")
    group.addoption("--ssh-key", type=Path, help="with --existing: your private key for its nodes")
    group.addoption(
        "--ssh-user", metavar="NAME", help="with --existing: user name on its nodes (default: root)"
    )
    group.addoption(
        "--outcomes", type=Path, metavar="FILE", help="write the outcomes to FILE, not to the report"
    )
    group.addoption(
        "--faults",
        action=argparse.BooleanOptionalAction,
        help="include checks that power off machines or change a swarm (default: on target local only)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """With ``--target``: choose the run, and where the report goes. Without: refuse to check nothing."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    if config.option.target is None:
        _refuse_without_target(config)
        return
    from harness.core import signals
    from harness.verify.recorder import Recorder
    from harness.verify.stash import CHOICE

    stack = ExitStack()
    config.add_cleanup(stack.close)
    stack.enter_context(signals.stopped_by_signals())  # so that the threads of a check end, too
    try:
        choice = choose_existing(_settings(config))
        _insist_on_no_faults(config)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[CHOICE] = choice
    if config.args_source != pytest.Config.ArgsSource.ARGS:
        config.args = [str(CHECKS)]
    if choice.place:
        choice.place.create()
    if not config.option.xmlpath and not config.option.outcomes and choice.run_dir.path.is_dir():
        config.option.xmlpath = str(choice.run_dir.junit)
    config.pluginmanager.import_plugin("harness.verify.fixtures")
    config.pluginmanager.import_plugin("harness.verify.disturbing")
    config.pluginmanager.register(Recorder(config), "wavetank-recorder")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Find the deployment; without one there is nothing to check."""
    if session.config.option.target is None:
        return
    from harness.run.session import open_session
    from harness.verify.stash import CHOICE, SESSION

    choice = session.config.stash[CHOICE]
    session.config.add_cleanup(lease.end)
    try:
        session.config.stash[SESSION] = open_session(choice)
    except WavetankError as error:
        pytest.exit(str(error), returncode=error.exit_code)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Checks that disturb the deployment come last, those that judge them all at the very end; or not at all.

    What is of another kind goes before anybody picks checks.
    """
    if config.option.target is not None:
        _only_of_its_kind(config, items)
    yield
    if config.option.target is None:
        return
    if config.option.existing is not None:
        _only_looking(config, items)
        return
    items[:] = in_turn(items)
    reason = _why_no_faults(config)
    for item in items if reason else ():
        if item.get_closest_marker("disturbs"):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the checks out of an ordinary test run."""
    return True if config.option.target is None and collection_path == CHECKS else None


def in_turn(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """What only observes, what disturbs ``first``, what disturbs, and what disturbs ``last``."""
    return sorted(items, key=_turn)


def _turn(item: pytest.Item) -> int:
    mark = item.get_closest_marker("disturbs")
    if mark is None:
        return 0
    return 3 if mark.kwargs.get("last") else 1 if mark.kwargs.get("first") else 2


def _only_of_its_kind(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect each check of something that the topology does not have; they are counted, not listed."""
    from harness.verify import kinds
    from harness.verify.stash import OTHER_KIND, SECTIONS, SESSION

    topology = config.stash[SESSION].topology
    there = kinds.has(topology)
    functions = [item for item in items if isinstance(item, pytest.Function)]
    reasons = {item: why for item in functions if (why := kinds.left_out(item, topology, there))}
    for item in reasons:
        item.stash[OTHER_KIND] = True
    items[:] = [item for item in items if item not in reasons]
    config.hook.pytest_deselected(items=list(reasons))
    config.stash[SECTIONS]["notes"] += kinds.notes(reasons.values())


def _only_looking(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect each check that is not marked as read-only, or that needs a key to log in and has none."""
    from harness.verify.existing_checks import left_out, note
    from harness.verify.stash import LEFT_OUT, SECTIONS

    reasons = {item: left_out(item, login=config.option.ssh_key is not None) for item in items}
    gone = [item for item in items if reasons[item]]
    for item in gone:
        item.stash[LEFT_OUT] = reasons[item]
    items[:] = [item for item in items if not reasons[item]]
    config.hook.pytest_deselected(items=gone)
    config.stash[SECTIONS]["notes"].insert(0, note(config.option.existing, len(items), reasons.values()))


def _insist_on_no_faults(config: pytest.Config) -> None:
    if config.option.existing is not None and config.option.faults:
        raise UsageError("--faults disturbs what runs, and --existing only reads: leave one of them out")


def _refuse_without_target(config: pytest.Config) -> None:
    named = [(config.invocation_params.dir / arg.split("::")[0]).resolve() for arg in config.args]
    if any(path.is_relative_to(CHECKS) for path in named):
        raise pytest.UsageError(f"checks need a deployment: say --target={'|'.join(TARGETS)}")


def _why_no_faults(config: pytest.Config) -> str:
    given = config.option.faults
    if given is None and config.option.target != "local":
        return f"disturbs what runs: say --faults to have it on target {config.option.target}"
    return "disturbs what runs: --no-faults" if given is False else ""


def _settings(config: pytest.Config) -> Settings:
    given = config.option
    return Settings(
        target=given.target,
        topology=given.topology,
        run=given.run,
        app=given.app,
        state_dir=given.state_dir,
        endpoint=given.endpoint,
        ca_file=given.ca_file,
        proxy=given.proxy,
        operators=tuple(given.operator_cidr),
        existing=given.existing,
        ssh_key=given.ssh_key,
        ssh_user=given.ssh_user,
    )

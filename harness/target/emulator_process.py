"""The emulator as a separate process: ``python -m emulator serve``, started if none is running.

It is used like any cloud, at the address that it writes into ``endpoint.json``; its code is not imported.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.core import process as processes
from harness.core import signals
from harness.core.documents import read_object
from harness.core.errors import EngineError, TopologyError, UsageError, WaitTimeoutError
from harness.core.names import DROPLET_SYSTEMS
from harness.core.paths import PROJECT
from harness.core.process import is_running, started_at, without_secrets
from harness.core.progress import Progress
from harness.core.wait import NotYet, scaled, wait_for

PLANE_VARIABLE = "WAVETANK_PLANE"
PLANES = ("docker", "memory")
PAUSE_SECONDS = 0.02
START_SECONDS = 120.0  # without a new line in its log
STOP_SECONDS = 30.0
DESTROY_SECONDS = 180
LOG_TAIL = 2000
AUTO, DATABASE, PLANE = "auto", "state.db", "plane"
LOG_PREFIX = "emulator: "
BUILDS = ": image "  # in its log, where it builds one
BUILDING = "emulator: building the images of its machines, which takes some minutes, once"
_USES: dict[Path, int] = {}  # by directory, the descriptor that holds it


@dataclass(frozen=True)
class EmulatorStatus:
    """A running emulator and its addresses. ``auto``: a command started it, not the user.

    ``droplets`` is what its droplets are, one of ``DROPLET_SYSTEMS``. ``rate_limit``: it refuses more
    requests than DigitalOcean takes.
    """

    state: Path
    pid: int
    https: str
    http: str
    plane: str
    ca_file: Path
    token: str = field(repr=False)
    auto: bool = False
    droplets: str = DROPLET_SYSTEMS[0]
    rate_limit: bool = False


def directory(state_dir: Path) -> Path:
    """Where the emulator of a project keeps its state."""
    return (state_dir / "emulator").resolve()


def start(
    state_dir: Path,
    progress: Progress,
    *,
    auto: bool = False,
    droplets: str | None = None,
    rate_limit: bool = False,
) -> EmulatorStatus:
    """Start the emulator unless it is running, and return once it answers. Raises ``EngineError``.

    Two callers at once get the same one. ``WAVETANK_PLANE`` selects where its machines run: ``docker``
    (the default) or ``memory``. ``auto`` marks a new one as one that may be stopped when it is empty.
    ``droplets`` is what its droplets are to be, one of ``DROPLET_SYSTEMS``; None: whatever they are.
    ``rate_limit`` is a new one's, too: one that runs without is an error.
    """
    state = directory(state_dir)
    with _only_one(state):
        state.mkdir(mode=0o700, exist_ok=True)
        found = status(state_dir)
        if found is not None and rate_limit and not found.rate_limit:
            raise UsageError(
                "the emulator runs without --rate-limit; stop it with `wavetank emulator stop`, which leaves "
                "its machines running, and start it again"
            )
        if found is not None:
            _check_droplets(found, droplets)
            return found
        with progress.step("emulator_start"):
            options = ["--droplets", droplets] if droplets else []
            options += ["--rate-limit"] if rate_limit else []
            return _start(state_dir, state, progress, options, auto=auto)


def _check_droplets(found: EmulatorStatus, wanted: str | None) -> None:
    if wanted and wanted != found.droplets:
        raise EngineError(
            f"the droplets of the emulator in {found.state} are {found.droplets}, and {wanted} is asked for: "
            "use another --state-dir, or remove this one with `wavetank emulator stop --destroy`"
        )


def stop(state_dir: Path, *, destroy: bool = False) -> None:
    """Stop the emulator; its machines keep running, unless ``destroy``: then all that it made is removed."""
    state = directory(state_dir)
    if not state.is_dir():
        return
    with _only_one(state):
        found = _process(state)
        if found is not None:
            _terminate(found.pid, state)
        if destroy and state.is_dir():
            _destroy(state)


def use(state_dir: Path) -> None:
    """Until this process ends, keep other commands from removing the emulator because it is empty."""
    state = directory(state_dir)
    if state not in _USES:
        _USES[state] = _users(state)
        fcntl.flock(_USES[state], fcntl.LOCK_SH)


def stop_unused(state_dir: Path, is_empty: Callable[[], bool], progress: Progress) -> bool:
    """Remove an emulator that a command had started, if it is empty and no other process uses it.

    This process's own :func:`use` ends, too. Returns whether it was removed.
    """
    state = directory(state_dir)
    found = status(state_dir)
    if found is None or not found.auto:
        return False
    users = _USES.pop(state, None) or _users(state)
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_empty():
            return False
        with progress.step("emulator_stop"):
            stop(state_dir, destroy=True)
    except BlockingIOError:
        return False
    finally:
        os.close(users)
    return True


def status(state_dir: Path) -> EmulatorStatus | None:
    """The emulator that answers now, None if none does. Its machines may exist in both cases."""
    found = _process(directory(state_dir))
    return found if found is not None and _is_healthy(found) else None


def _process(state: Path) -> EmulatorStatus | None:
    """The emulator whose process exists, whether it answers or not; a stale ``endpoint.json`` is ignored."""
    document = _endpoint(state)
    if document is None or not _is_alive(document, state):
        return None
    return EmulatorStatus(
        state=state,
        pid=document["pid"],
        https=document["https"],
        http=document["http"],
        plane=document["plane"],
        ca_file=Path(document["ca_file"]),
        token=document["token"],
        auto=(state / AUTO).exists(),
        droplets=str(document.get("droplets", DROPLET_SYSTEMS[0])),
        rate_limit=document.get("rate_limit", False),
    )


def _start(
    state_dir: Path, state: Path, progress: Progress, options: Sequence[str], *, auto: bool
) -> EmulatorStatus:
    leftover = _process(state)
    if leftover is not None:  # it is there and does not answer
        _terminate(leftover.pid, state)
    (state / "endpoint.json").unlink(missing_ok=True)
    (state / AUTO).touch() if auto else (state / AUTO).unlink(missing_ok=True)
    fresh = not (state / DATABASE).exists()
    started: list[subprocess.Popen[bytes]] = []
    building = False

    def probe() -> EmulatorStatus:
        nonlocal building
        (process,) = started
        if process.poll() is not None:
            why = (
                _refusal(state)
                or f"\n{_tail(state)}".rstrip()
                or f"it could not say why; {_free_space(state)}"
            )
            raise EngineError(f"the emulator did not start (exit {process.returncode}): {why}")
        found = status(state_dir)
        if found is None:
            log = _tail(state)
            if fresh and not building and BUILDS in log:
                building = True
                progress.note(BUILDING)
            raise NotYet(log or "nothing in its log yet")
        return found

    try:
        with signals.deferred():
            started.append(_spawn(state, options))
        found = _await_answer(state, probe)
    except BaseException as error:  # ctrl-C too must not leave an unknown one behind
        if isinstance(error, KeyboardInterrupt):
            signals.write_stderr("stopping: removing the emulator that was being started")
        _clean_up(started, state, fresh=fresh)
        if isinstance(error, WaitTimeoutError):
            raise EngineError(str(error)) from error
        raise
    started[
        0
    ].returncode = 0  # it outlives us; without a return code Popen would warn that it is still running
    return found


def _await_answer(state: Path, probe: Callable[[], EmulatorStatus]) -> EmulatorStatus:
    """Wait as long as its log grows: the first emulator on a machine builds images."""
    log = _tail(state)
    while True:
        try:
            return wait_for(
                f"the emulator in {state}",
                probe,
                deadline=START_SECONDS,
                first_pause=PAUSE_SECONDS,
                max_pause=PAUSE_SECONDS,
            )
        except WaitTimeoutError:
            before, log = log, _tail(state)
            if log == before:
                raise


def _clean_up(started: Sequence[subprocess.Popen[bytes]], state: Path, *, fresh: bool) -> None:
    """End an emulator that did not answer; remove what it created, unless there was one before."""
    for process in started:
        process.terminate()
        try:
            process.wait(scaled(STOP_SECONDS))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    (state / "endpoint.json").unlink(missing_ok=True)
    if fresh:
        with suppress(EngineError):  # as where there is no engine; why it did not start says more
            _destroy(state)


def _spawn(state: Path, options: Sequence[str]) -> subprocess.Popen[bytes]:
    plane = os.environ.get(PLANE_VARIABLE, "docker")
    if plane not in PLANES:
        raise EngineError(f"{PLANE_VARIABLE}={plane!r} is not known: use docker or memory")
    command = [sys.executable, "-m", "emulator", "serve", "--state", str(state), "--plane", plane]
    command += options
    with (state / "server.log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=PROJECT,
            env=without_secrets(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _terminate(pid: int, state: Path) -> None:
    born = started_at(pid)
    _signal(pid, signal.SIGTERM)

    def probe() -> None:
        if is_running(pid, born):
            raise NotYet(f"process {pid} is still running")

    try:
        wait_for("the emulator to stop", probe, deadline=STOP_SECONDS, max_pause=0.1)
    except WaitTimeoutError:
        _signal(pid, signal.SIGKILL)
        wait_for("the emulator to be killed", probe, deadline=STOP_SECONDS, max_pause=0.1)
    (state / "endpoint.json").unlink(missing_ok=True)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _destroy(state: Path) -> None:
    command = [sys.executable, "-m", "emulator", "destroy", "--state", str(state)]
    if not (state / PLANE).exists() and os.environ.get(PLANE_VARIABLE) in PLANES:
        command += ["--plane", os.environ[PLANE_VARIABLE]]  # it ended before it wrote its plane
    try:
        done = processes.run(command, cwd=PROJECT, seconds=DESTROY_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            f"the emulator in {state} was not removed in {scaled(DESTROY_SECONDS):.0f} s"
        ) from error
    if done.returncode != 0:
        log = done.stderr.decode(errors="replace")[-LOG_TAIL:]
        raise EngineError(f"the emulator in {state} could not be removed:\n{log}")


def _endpoint(state: Path) -> dict[str, Any] | None:
    file = state / "endpoint.json"
    try:
        document = read_object(file, "an emulator's endpoint", remedy="remove it")
    except TopologyError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise EngineError(str(error)) from error
    texts = ("https", "http", "plane", "ca_file", "token")
    if type(document.get("pid")) is not int or not all(isinstance(document.get(key), str) for key in texts):
        raise EngineError(f"{file}: is not an emulator's endpoint\n  remedy: remove it")
    return document


def _is_alive(document: dict[str, Any], state: Path) -> bool:
    """Whether the process is the one that wrote the file: its id may have been reused."""
    born = started_at(document["pid"])
    return born is not None and born <= (state / "endpoint.json").stat().st_mtime + 1


def _is_healthy(emulator: EmulatorStatus) -> bool:
    # Not by httpx: loading it takes longer than all else that `wavetank emulator start` does itself.
    try:
        connection = http.client.HTTPConnection(urlsplit(emulator.http).netloc, timeout=scaled(5))
        with closing(connection):
            connection.request("GET", "/_wavetank/health")
            return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, ValueError, http.client.HTTPException):  # the second: what is no address
        return False


def _refusal(state: Path) -> str:
    """The program's last message, if it ended on purpose."""
    lines = (state / "server.log").read_text(errors="replace").splitlines() or [""]
    return lines[-1].removeprefix(LOG_PREFIX) if lines[-1].startswith(LOG_PREFIX) else ""


def _tail(state: Path) -> str:
    texts = [_end(file) for file in (state / "server.log", state / "log") if file.is_file()]
    return "\n".join(text for text in texts if text)[-LOG_TAIL:].strip()


def _end(file: Path) -> str:
    with file.open("rb") as log:
        log.seek(max(0, file.stat().st_size - 4 * LOG_TAIL))  # of an old emulator it may be large
        return log.read().decode(errors="replace")


def _free_space(state: Path) -> str:
    return f"{shutil.disk_usage(state).free >> 10} KiB are free in {state}"


@contextmanager
def _only_one(state: Path) -> Iterator[None]:
    """Lock the emulator of ``state``: only one process at a time starts or stops it.

    The lock file is next to the directory, which ``destroy`` removes.
    """
    state.parent.mkdir(parents=True, exist_ok=True)
    with state.with_name(f".{state.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _users(state: Path) -> int:
    state.parent.mkdir(parents=True, exist_ok=True)
    return os.open(state.with_name(f".{state.name}.users"), os.O_RDWR | os.O_CREAT, 0o600)

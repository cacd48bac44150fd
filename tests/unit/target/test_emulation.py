"""The emulator as a process: one a directory, found again, and gone when told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from harness.core.errors import EngineError, UsageError
from harness.core.parallel import in_parallel
from harness.core.process import started_at
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.target import emulator_process
from harness.target.target import resolve_target

QUIET = Progress(quiet=True)


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory whose emulator runs nothing, and is stopped at the end."""
    monkeypatch.setenv("WAVETANK_PLANE", "memory")
    monkeypatch.delenv("WAVETANK_MEMORY_FAULTS", raising=False)
    directory = tmp_path / "state"
    yield directory
    emulator_process.stop(directory, destroy=True)


def test_two_starters_at_once_get_the_same_one(state_dir: Path) -> None:
    """And a third, later."""
    one, two = in_parallel([partial(emulator_process.start, state_dir, QUIET)] * 2)
    assert one == two == emulator_process.start(state_dir, QUIET)
    assert one.plane == "memory"


def test_stopping_it_leaves_its_state_and_destroying_it_does_not(state_dir: Path) -> None:
    """It answers with the same token afterwards."""
    first = emulator_process.start(state_dir, QUIET)
    emulator_process.stop(state_dir)
    assert started_at(first.pid) is None
    assert emulator_process.status(state_dir) is None
    second = emulator_process.start(state_dir, QUIET)
    assert second.token == first.token
    emulator_process.stop(state_dir, destroy=True)
    assert not emulator_process.directory(state_dir).exists()


def test_its_droplets_are_what_the_first_start_says(state_dir: Path) -> None:
    """Who asks for others gets none, running or not; who does not ask gets what there is."""
    first = emulator_process.start(state_dir, QUIET, droplets="ubuntu-24.04")
    assert first.droplets == "ubuntu-24.04"
    with pytest.raises(EngineError, match=r"are ubuntu-24.04, and debian-13 is asked for: use another"):
        emulator_process.start(state_dir, QUIET, droplets="debian-13")
    emulator_process.stop(state_dir)
    with pytest.raises(EngineError, match=r"are ubuntu-24.04; destroy it before using debian-13"):
        emulator_process.start(state_dir, QUIET, droplets="debian-13")
    assert emulator_process.start(state_dir, QUIET).droplets == "ubuntu-24.04"


def test_a_rate_limit_is_one_of_a_new_emulator(state_dir: Path) -> None:
    """More than 250 requests in a minute are refused; one that runs without a limit does not get one."""
    emulator_process.start(state_dir, QUIET)
    with pytest.raises(UsageError, match="runs without --rate-limit"):
        emulator_process.start(state_dir, QUIET, rate_limit=True)
    emulator_process.stop(state_dir)
    limited = emulator_process.start(state_dir, QUIET, rate_limit=True)
    assert limited.rate_limit
    headers = {"Authorization": f"Bearer {limited.token}"}
    with httpx.Client(base_url=limited.http, headers=headers, timeout=30, trust_env=False) as client:
        answers = [client.get("/v2/account").status_code for _ in range(501)]  # a minute may end meanwhile
    assert answers[:250] == [200] * 250
    assert 429 in answers[250:]


def test_nothing_to_stop_is_no_error(tmp_path: Path) -> None:
    """Twice down is down."""
    emulator_process.stop(tmp_path / "never", destroy=True)
    assert emulator_process.status(tmp_path / "never") is None


def test_a_killed_ones_endpoint_is_not_believed(state_dir: Path) -> None:
    """kill -9 leaves endpoint.json behind."""
    first = emulator_process.start(state_dir, QUIET)
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    assert (first.state / "endpoint.json").exists()
    assert emulator_process.status(state_dir) is None
    assert emulator_process.start(state_dir, QUIET).pid != first.pid


def test_a_port_that_somebody_took_meanwhile_is_left_to_them(state_dir: Path) -> None:
    """It comes back on another one, and says so in endpoint.json."""
    first = emulator_process.start(state_dir, QUIET)
    emulator_process.stop(state_dir)
    with socket.create_server(("127.0.0.1", urlsplit(first.https).port or 0)):
        second = emulator_process.start(state_dir, QUIET)
    assert second.https != first.https
    assert second.token == first.token


def test_another_process_with_its_number_is_not_taken_for_it(state_dir: Path) -> None:
    """The number in endpoint.json is somebody else's, who began after it was written."""
    first = emulator_process.start(state_dir, QUIET)
    emulator_process.stop(state_dir)
    file = first.state / "endpoint.json"
    told = {"pid": os.getpid(), "https": first.https, "http": first.http, "token": "t", "plane": "memory"}
    file.write_text(json.dumps({**told, "ca_file": str(first.ca_file)}))
    os.utime(file, (1, 1))
    assert emulator_process.status(state_dir) is None
    assert emulator_process.start(state_dir, QUIET).pid != os.getpid()


def test_one_that_does_not_start_shows_why(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tail of its log."""
    monkeypatch.setenv("WAVETANK_MEMORY_FAULTS", '{"start": "no nft here"}')
    with pytest.raises(EngineError, match=r"(?s)did not start.*no nft here"):
        emulator_process.start(state_dir, QUIET)
    assert emulator_process.status(state_dir) is None


SLOW = """
import sys, time
for number in range(6):
    print(f": image droplet: Step {number}/6", file=sys.stderr, flush=True)
    time.sleep(0.2)
sys.exit(9)
"""


def _require_word(state: Path) -> None:
    if not (state / "server.log").stat().st_size:
        raise NotYet("nothing yet")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """In the emulator's place a program, and so little patience that it cannot end in time."""
    monkeypatch.setattr(emulator_process, "START_SECONDS", 0.5)

    def put(program: str) -> None:
        def spawn(state: Path, _: Sequence[str]) -> subprocess.Popen[bytes]:
            (state / "plane").write_text("memory")
            with (state / "server.log").open("ab") as log:
                process = subprocess.Popen([sys.executable, "-c", program], stderr=log)
            wait_for("its first word", lambda: _require_word(state), deadline=60)
            return process

        monkeypatch.setattr(emulator_process, "_spawn", spawn)

    return put


def test_one_that_builds_images_may_take_its_time(
    slow: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For as long as its log goes on; and that it does is said, once."""
    slow(SLOW)
    with pytest.raises(EngineError, match="did not start"):
        emulator_process.start(tmp_path / "state", Progress())
    assert capsys.readouterr().err.count(emulator_process.BUILDING) == 1


def test_one_that_falls_silent_is_given_up(slow: Callable[[str], None], tmp_path: Path) -> None:
    """With the last that it said."""
    slow("import sys, time; print('here I am', file=sys.stderr, flush=True); time.sleep(60)")
    with pytest.raises(EngineError, match="here I am"):
        emulator_process.start(tmp_path / "state", QUIET)


def test_an_unknown_plane_is_refused(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started."""
    monkeypatch.setenv("WAVETANK_PLANE", "cloud9")
    with pytest.raises(EngineError, match="use docker or memory"):
        emulator_process.start(state_dir, QUIET)


def test_the_local_target_is_what_the_emulator_says(state_dir: Path) -> None:
    """Its endpoint, token and CA; and it knows that nobody asked for it by hand."""
    target = resolve_target("local", state_dir=state_dir, progress=QUIET)
    running = emulator_process.status(state_dir)
    assert running is not None
    assert (target.endpoint, target.token, target.ca_file) == (running.https, running.token, running.ca_file)
    assert target.info["plane"] == "memory"
    assert running.auto


def test_a_damaged_state_is_one_sentence(state_dir: Path) -> None:
    """What the emulator says of its files is what the user is told, without the log around it."""
    state = emulator_process.directory(state_dir)
    state.mkdir(parents=True)
    (state / "ports.json").write_text("[99999, 1]")
    with pytest.raises(EngineError) as caught:
        emulator_process.start(state_dir, QUIET)
    said = str(caught.value)
    assert f"{state / 'ports.json'} is not usable" in said
    assert (len(said.splitlines()), "Traceback" in said) == (1, False)


def test_secrets_are_not_shown(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor readable by others; and those of the user's shell are not kept in a process that stays."""
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "dop_v1_of_the_shell")
    running = emulator_process.start(state_dir, QUIET)
    assert b"dop_v1_of_the_shell" not in Path(f"/proc/{running.pid}/environ").read_bytes()
    assert running.token not in repr(running)
    assert (running.state / "endpoint.json").stat().st_mode & 0o77 == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_that_is_stopped_while_it_starts_is_gone(state_dir: Path, number: int) -> None:
    """The command says so, exits with the signal's code, and leaves neither process nor directory."""
    starting = subprocess.Popen(
        [sys.executable, "-m", "harness", "emulator", "start", f"--state-dir={state_dir}"],
        env={**os.environ, "WAVETANK_MEMORY_FAULTS": '{"start": "hangs"}'},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    await_file(state_dir / "emulator" / "plane")  # written just before the plane starts
    os.killpg(starting.pid, number)
    _, said = starting.communicate(timeout=60)
    assert starting.returncode == 128 + number, said.decode()
    assert b"removing the emulator that was being started" in said
    assert b"Traceback" not in said
    assert not (state_dir / "emulator").exists()
    assert servers(state_dir) == []


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 KiB: enough for an emulator to begin on, not to come to answer."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", disk], check=False).returncode:
        pytest.skip("this user cannot mount")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_leaves_nothing(full_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither process nor directory; and it is said how much is free where."""
    monkeypatch.setenv("WAVETANK_PLANE", "memory")
    state_dir = full_disk / "state"
    with pytest.raises(EngineError, match=r"KiB are free in|disk is full"):
        emulator_process.start(state_dir, QUIET)
    assert not (state_dir / "emulator").exists()
    assert servers(state_dir) == []


def await_file(file: Path) -> None:
    """Until it is there."""

    def probe() -> None:
        if not file.exists():
            raise NotYet(f"no {file}")

    wait_for(str(file), probe, deadline=60)


def servers(state_dir: Path) -> list[str]:
    """The processes of the emulator of that directory."""
    told = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    wanted = f"emulator serve --state {state_dir.resolve() / 'emulator'} "
    return [line for line in told.splitlines() if wanted in line]

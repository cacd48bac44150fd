"""A signal ends every wait, in every thread, once; and nothing that tries again takes it for "not yet"."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.access.ssh import Access
from harness.core import background, process, signals
from harness.core.errors import CommandError, WaitTimeoutError
from harness.core.parallel import Pool, in_parallel
from harness.core.signals import Interrupted, Stopped
from harness.core.wait import NotYet, wait_for
from harness.run.rundir import RunDir

LONG = 120.0  # nothing here waits so long, unless a signal is lost


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Ours for the length of a test."""
    hook = sys.unraisablehook
    with signals.stopped_by_signals():
        yield
    sys.unraisablehook = hook


def send(number: int = signal.SIGINT) -> None:
    """What a terminal sends."""
    os.kill(os.getpid(), number)


def never() -> None:
    """A probe that sees nothing, and whose errors are all tolerated."""
    raise CommandError(["ssh"], 255, "connection refused")


def wait_long() -> None:
    """As the wait for ssh does."""
    wait_for("it", never, deadline=LONG, tolerate=(CommandError, WaitTimeoutError))


def once(begun: Callable[[], bool]) -> threading.Thread:
    """A thread that sends SIGINT to this process once ``begun``."""

    def run() -> None:
        while not begun():
            time.sleep(0.01)
        send()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_it_is_raised_in_the_main_thread_and_knows_its_number(number: signal.Signals) -> None:
    """All three alike."""
    with pytest.raises(Stopped) as caught:
        send(number)
    assert caught.value.signum == number
    assert isinstance(caught.value, KeyboardInterrupt)


def test_waits_of_other_threads_end_though_all_errors_are_tolerated() -> None:
    """What hung: the wait for ssh in the threads of a deployment, joined by the interrupted main thread."""
    ended: list[BaseException] = []
    begun = threading.Barrier(9)

    def job() -> None:
        begun.wait(LONG)
        try:
            wait_long()
        except BaseException as error:
            ended.append(error)
            raise

    once(lambda: begun.n_waiting == 8 and not begun.wait(LONG) < 0)
    with pytest.raises(Stopped):
        in_parallel([job] * 8)
    assert [type(error) for error in ended] == [Stopped] * 8


def test_what_was_not_begun_is_not_begun() -> None:
    """Of many jobs for one thread."""
    begun: list[int] = []

    def job(number: int) -> None:
        begun.append(number)
        wait_long()

    once(lambda: bool(begun))
    with pytest.raises(Stopped), Pool(1) as pool:
        list(pool.map(job, range(50)))
    assert begun == [0]


def test_cleaning_up_may_wait_and_use_threads() -> None:
    """A thread is told once; what is begun afterwards knows nothing of the signal."""
    seen = iter([False, False, True])

    def probe() -> None:
        if not next(seen):
            raise NotYet("no")

    def stopped() -> None:
        try:
            send()
        finally:
            wait_for("what is cleaned up", probe, deadline=LONG)
            assert in_parallel([lambda: signals.pause(0.01)] * 3) == [None] * 3

    with pytest.raises(Stopped):
        stopped()


def test_a_thread_cleans_up_too() -> None:
    """Its own waits after it was told are not ended by the same signal."""
    cleaned = threading.Event()
    begun = threading.Event()

    def job() -> None:
        begun.set()
        try:
            wait_long()
        finally:
            signals.pause(0.01)
            cleaned.set()

    once(begun.is_set)
    with pytest.raises(Stopped):
        in_parallel([job, job])
    assert cleaned.is_set()


def test_another_signal_interrupts_the_cleaning_up() -> None:
    """Waits of threads that were begun for it included."""

    def stopped() -> None:
        try:
            send(signal.SIGINT)
        finally:
            begun = threading.Event()
            once(begun.is_set)
            in_parallel([begun.set, wait_long])

    with pytest.raises(Stopped) as caught:
        stopped()
    assert caught.value.__context__ is not None


def test_a_command_is_ended_with_all_it_started_and_does_not_hear_the_terminal(tmp_path: Path) -> None:
    """It has a session of its own, so that its death is never taken for its failure."""
    file = tmp_path / "pid"
    once(lambda: file.exists() and bool(file.read_text()))
    with pytest.raises(Stopped):
        process.run(["sh", "-c", f"sleep 1000 & echo $! > {file}; wait"], seconds=LONG)
    pid = int(file.read_text())

    def gone() -> None:
        if process.started_at(pid) is not None:
            raise NotYet("it runs")

    wait_for("the command's own child to be gone", gone, deadline=20)
    assert process.run(["sh", "-c", "ps -o sid= -p $$; echo $$"], seconds=20).stdout.split()[0] != b"0"


def test_a_command_in_a_thread_is_ended_too(tmp_path: Path) -> None:
    """Though nothing there can be raised from outside."""
    file = tmp_path / "begun"
    once(file.exists)
    with pytest.raises(Stopped):
        in_parallel([lambda: process.run(["sh", "-c", f"touch {file}; sleep 1000"], seconds=LONG)] * 2)


def test_a_commands_input_and_output_are_whole_however_long_it_takes() -> None:
    """Looking for a signal in between loses nothing."""
    text = b"x" * 1_000_000
    done = process.run(["sh", "-c", "sleep 0.3; cat; sleep 0.3"], seconds=LONG, text=text)
    assert (done.returncode, done.stdout) == (0, text)


def test_too_late_is_said_and_the_command_ended() -> None:
    """As before there were signals."""
    with pytest.raises(subprocess.TimeoutExpired):
        process.run(["sleep", "1000"], seconds=0.2)


def test_work_in_the_background_ends() -> None:
    """It is not waited for, but must not go on building images."""
    ended = threading.Event()
    begun = threading.Event()

    def work() -> None:
        begun.set()
        try:
            wait_long()
        finally:
            ended.set()

    background.start(work)
    assert begun.wait(LONG)
    with pytest.raises(Stopped):
        send()
    assert ended.wait(LONG)


def test_a_question_in_flight_is_not_waited_for() -> None:
    """A thread that is blocked in one that changes nothing is left alone with it."""
    answers, begun = threading.Event(), threading.Event()

    def ask() -> bool:
        begun.set()
        return answers.wait(LONG)

    once(begun.is_set)
    with pytest.raises(Stopped):
        in_parallel([lambda: signals.abandonable(ask)])
    assert not answers.is_set()
    answers.set()


def test_an_answer_in_time_is_the_answer_and_an_error_the_error() -> None:
    """Time-outs of its own included."""
    (answer,) = in_parallel([lambda: signals.abandonable(lambda: 7)])
    assert answer == 7

    def late() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        in_parallel([lambda: signals.abandonable(late)])


def test_an_answer_that_comes_just_after_a_slice_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for it has timed out, but it is there when that is handled."""

    class Slow(signals.Future[int]):
        def result(self, timeout: float | None = None) -> int:
            found = super().result()
            if timeout is not None:
                raise signals.FutureTimeoutError
            return found

    monkeypatch.setattr(signals, "Future", Slow)
    assert in_parallel([lambda: signals.abandonable(lambda: 7)]) == [7]


def test_deferred_reports_what_is_done_first_and_stops_after_it(capfd: pytest.CaptureFixture[str]) -> None:
    """At once, and once."""
    done: list[str] = []

    def stopped() -> None:
        with signals.deferred("power is given back"):
            send(signal.SIGTERM)
            send(signal.SIGINT)
            done.append("power")

    with pytest.raises(Stopped) as caught:
        stopped()
    assert (done, caught.value.signum) == (["power"], signal.SIGTERM)
    assert capfd.readouterr().err == "stopping, but first power is given back\n"


def test_one_that_is_lost_on_its_way_is_raised_at_the_next_check() -> None:
    """Python drops what is raised while it collects an object."""

    class Dying:
        def __del__(self) -> None:
            send()

    signals.install()
    dying = Dying()
    del dying
    with pytest.raises(Stopped):
        wait_long()
    signals.check()


def test_commands_on_nodes_are_called_off_by_no_error_that_is_tolerated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After another job's failure as well: the wait for ssh took it for "not yet", for minutes."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text("#!/bin/sh\nsleep 0.05; exit 255\n")
    (tmp_path / "bin" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    access = Access(RunDir(tmp_path, "r"), {"a": "a", "b": "b"}, "a", ())
    begun = threading.Event()

    def fail() -> None:
        assert begun.wait(LONG)
        raise ValueError("the cause")

    def wait() -> None:
        begun.set()
        access.wait_until_reachable("b", LONG)

    with pytest.raises(ValueError, match="the cause"):
        in_parallel([wait, wait, fail], interrupt=access.interrupt)
    with pytest.raises(Interrupted):
        access.run("a", "true")


def test_a_process_that_is_still_loading_is_stopped_once_it_can_say_so() -> None:
    """SIGINT in its first moments is neither lost nor a traceback."""
    script = """
from harness.core import signals
try:
    signals.install()
    signals.pause(60)
except signals.Stopped as error:
    print(error)
"""
    with signals.blocked():
        begun = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    begun.send_signal(signal.SIGINT)
    assert begun.communicate(timeout=LONG) == ("stopped by SIGINT\n", "")


@pytest.mark.parametrize(
    ("module", "told"), [("harness", "wavetank: stopped by SIGINT\n"), ("harness.verify", "")]
)
def test_a_program_that_is_stopped_while_it_loads_says_no_more_than_that(module: str, told: str) -> None:
    """The command line, and the checks that it begins."""
    with signals.blocked():
        begun = subprocess.Popen(
            [sys.executable, "-m", module, "--version"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    begun.send_signal(signal.SIGINT)
    assert begun.communicate(timeout=LONG) == ("", told)
    assert begun.returncode == 130


def test_a_signal_in_the_middle_of_an_import_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the module catches everything, as some of others do."""
    catching = "import os, signal, time\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(0.1)\n"
    (tmp_path / "catches_everything.py").write_text(f"{catching}except BaseException:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("catches_everything")
    with pytest.raises(Stopped):
        signals.pause(10)


def test_whoever_follows_gets_the_signal_when_its_parent_is_killed() -> None:
    """By the signal that it asked for, as if somebody had sent it."""
    follower = """
import os, sys
from harness.core import signals
try:
    signals.install()
    signals.die_with_parent(os.getppid(), 2)
    print("follows", flush=True)
    signals.pause(60)
except signals.Stopped as error:
    print(error, flush=True)
"""
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {follower!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as begun:
        assert begun.stdout is not None
        assert begun.stdout.readline() == "follows\n"
        begun.kill()
        assert begun.stdout.read() == "stopped by SIGINT\n"

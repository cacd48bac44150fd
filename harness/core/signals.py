"""Handling of SIGINT (ctrl-C), SIGTERM and SIGHUP, in one place.

In the main thread a signal raises an exception, :class:`Stopped`, wherever the thread is. Other threads
cannot be interrupted: they check, and every wait of ours does so for them (``pause``, ``wait_for``,
``process.run``, ``Access.run``). Each thread gets a signal once: what it does afterwards is cleanup, which
has waits of its own, and threads that are started for the cleanup do not get the signal. Another signal
interrupts the cleanup, too.

``Stopped`` and :class:`Interrupted` are not subclasses of ``Exception``, so that no retry loop takes them for
"not yet".
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn, TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SLICE_SECONDS = 0.1  # between two checks of a wait that something else ends
AGAIN_SECONDS = 0.02
PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>
IMPORTS = "<frozen importlib._bootstrap>"  # the file name of import frames

T = TypeVar("T")


class Interrupted(BaseException):
    """The work was cancelled, for example because other work that it belongs to has failed."""


class Stopped(KeyboardInterrupt):
    """A signal asked this process to stop; ``with`` and ``except`` blocks clean up."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {name_of(signum)}")
        self.signum = signum


class Scope:
    """The work that one signal ends: that of all threads, begun before the signal came."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signum = int(signal.SIGINT)


class _Threads(threading.local):
    scope: Scope | None = None


_latest = Scope()
_postponed: list[int] = []  # signals that came in the middle of an import
_threads = _Threads()


def name_of(signum: int) -> str:
    """``SIGINT`` for 2."""
    return signal.Signals(signum).name


def handled_signals() -> tuple[signal.Signals, ...]:
    """The signals that stop this process: all three, except SIGHUP if ``nohup`` has it ignored."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(each for each in SIGNALS if each is not signal.SIGHUP or not ignored)


def install() -> None:
    """Make the signals raise :class:`Stopped` from here on, also one that was ``blocked`` until now."""
    for each in handled_signals():
        signal.signal(each, _deliver)
    if sys.unraisablehook is not _rescue:
        _rescue.others = sys.unraisablehook  # type: ignore[attr-defined]  # a function's own
        sys.unraisablehook = _rescue
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def blocked() -> Iterator[None]:
    """Block the signals for the length of the block.

    A Python process that is started in it has them blocked until it calls ``install``: while it loads, SIGINT
    would give a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_from_now_on() -> None:
    """Ignore the signals from here on: all work is done, and must not be reported as stopped."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def exit_process(code: int) -> NoReturn:
    """End the process, even if a thread still waits for an answer that nobody needs any more."""
    ignore_from_now_on()
    if all(each.daemon for each in threading.enumerate() if each is not threading.main_thread()):
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Like ``install``, for the length of a block; no effect in other threads, which get no signals."""
    with _handled(_deliver):
        yield


@contextmanager
def deferred(first: str = "") -> Iterator[None]:
    """Defer the signals to the end of the block; then the earliest one takes effect.

    A block that may take long gives ``first``, a part of a sentence that says what is done before the stop.
    Only the main thread gets signals, so in other threads there is nothing to defer.
    """
    caught: list[int] = []

    def hold(signum: int, _frame: FrameType | None) -> None:
        if first and not caught:
            write_stderr(f"stopping, but first {first}")
        caught.append(signum)

    if first and isinstance(sys.exception(), KeyboardInterrupt):  # stopped already: this is the cleanup
        write_stderr(f"stopping, but first {first}")

    try:
        with _handled(hold):
            yield
    finally:
        if caught:
            signal.raise_signal(caught[0])


@contextmanager
def intercept_first(ask: Callable[[int], None]) -> Iterator[None]:
    """The first signal in the block calls ``ask``; a second one has its usual effect.

    ``ask`` may run at any point: it must not take a lock, and prints with :func:`write_stderr`.
    """
    before: dict[signal.Signals, Any] = {}

    def first(signum: int, _frame: FrameType | None) -> None:
        _restore(before)
        ask(signum)

    with _handled(first, before):
        yield


def check() -> None:
    """Raise :class:`Stopped` if a signal came since this thread's work began, and was not raised here yet."""
    scope = _scope()
    if scope.event.is_set():
        _threads.scope = None
        if _is_main():  # its exception was lost
            _renew()
        raise Stopped(scope.signum)


def pause(seconds: float) -> None:
    """Let time pass. Raises :class:`Stopped` at once when a signal comes."""
    check()
    if _is_main():
        time.sleep(seconds)  # the handler raises out of it; it must never find the event's lock taken
    else:
        _scope().event.wait(seconds)
    check()


def bound(call: Callable[..., T]) -> Callable[..., T]:
    """``call`` for another thread: a signal from now on ends it there, or keeps it from starting."""
    scope = _scope()

    def run(*arguments: Any, **named: Any) -> T:
        _threads.scope = scope
        check()
        return call(*arguments, **named)

    return run


def abandonable(call: Callable[[], T]) -> T:
    """What ``call`` returns; if a signal comes first, raises :class:`Stopped` and abandons the call.

    For a call that blocks without checking and changes nothing. In the main thread a signal ends it anyway.
    """
    if _is_main():
        return call()
    answer: Future[T] = Future()
    threading.Thread(target=_answer, args=(answer, call), name="abandonable", daemon=True).start()
    while True:
        try:
            return answer.result(SLICE_SECONDS)
        except FutureTimeoutError:
            if answer.done():
                return answer.result()  # it came just now, or it is its own error
            check()


def die_with_parent(parent: int, signum: int) -> None:
    """Make the kernel send us this signal when ``parent``, which started us, has ended for any reason."""
    import ctypes  # every command loads this module, and few need that

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        os.kill(os.getpid(), signum)


def write_stderr(text: str) -> None:
    """Write a line to stderr from anywhere, even a signal handler: no buffer, no lock, and no error."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())


def _deliver(signum: int, frame: FrameType | None) -> None:
    """Set the event of all work so far, make a new one for what follows, and raise.

    Not in the middle of an import: other packages' modules may catch all exceptions there, and lose this one.
    """
    if _imports(frame):
        if not _postponed:
            write_stderr(f"stopping: {name_of(signum)} came while something was being loaded")
        _postponed.append(signum)
        _thread.start_new_thread(_send_again, (signum,))
        return
    _postponed.clear()
    with blocked():
        over = _renew()
        over.signum = signum
        over.event.set()
    raise Stopped(signum)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == IMPORTS:
            return True
        frame = frame.f_back
    return False


def _send_again(signum: int) -> None:
    time.sleep(AGAIN_SECONDS)
    os.kill(os.getpid(), signum)


def _renew() -> Scope:
    global _latest
    over, _latest = _latest, Scope()
    return over


def _rescue(lost: sys.UnraisableHookArgs) -> None:
    """An exception raised during garbage collection is lost: raise it at the next check."""
    if isinstance(lost.exc_value, Stopped):
        _latest.signum = lost.exc_value.signum
        _latest.event.set()
    else:
        _rescue.others(lost)  # type: ignore[attr-defined]


def _scope() -> Scope:
    if _is_main():
        return _latest
    if _threads.scope is None:
        _threads.scope = _latest
    return _threads.scope


def _answer(answer: Future[T], call: Callable[[], T]) -> None:
    try:
        answer.set_result(call())
    except BaseException as error:  # noqa: BLE001 (raised again where it is waited for)
        answer.set_exception(error)


@contextmanager
def _handled(
    handler: Callable[[int, FrameType | None], None], before: dict[signal.Signals, Any] | None = None
) -> Iterator[None]:
    """Install ``handler`` for the length of the block, in the main thread only; fills ``before``."""
    if not _is_main():
        yield
        return
    before = {} if before is None else before
    for each in SIGNALS:
        before[each] = signal.getsignal(each) or signal.SIG_DFL
    try:
        for each in SIGNALS:
            signal.signal(each, handler)
        yield
    finally:
        _restore(before)


def _restore(before: dict[signal.Signals, Any]) -> None:
    for each, handler in before.items():
        signal.signal(each, handler)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()

"""Being asked to stop: SIGINT (ctrl-C), SIGTERM and SIGHUP, in one place.

The main thread is told by an exception, :class:`Stopped`, wherever it is. Other threads cannot be told: they
look, and every wait of ours does so for them (``pause``, ``wait_for``, ``process.run``, ``Access.run``). Each
is told once: what a thread does afterwards is cleaning up, which has waits of its own, and threads that are
begun for it know nothing of the signal. Another signal interrupts that too.

``Stopped`` and :class:`Interrupted` are no ``Exception``, so that nothing that tries again takes them for
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
SLICE_SECONDS = 0.1  # between two looks of a wait that something else ends
AGAIN_SECONDS = 0.02
PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>
IMPORTS = "<frozen importlib._bootstrap>"  # the file of the frames that import

T = TypeVar("T")


class Interrupted(BaseException):
    """The work was called off, as because other work that it belongs to has failed."""


class Stopped(KeyboardInterrupt):
    """A signal asked us to stop; ``with`` and ``except`` blocks clean up on its way out."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {name_of(signum)}")
        self.signum = signum


class Scope:
    """What one signal ends: the work of all threads that was begun before it came."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signum = int(signal.SIGINT)


class _Threads(threading.local):
    scope: Scope | None = None


_latest = Scope()
_held: list[int] = []  # signals that came in the middle of an import
_threads = _Threads()


def name_of(signum: int) -> str:
    """``SIGINT`` for 2."""
    return signal.Signals(signum).name


def heeded() -> tuple[signal.Signals, ...]:
    """The signals that stop us: all three, but for SIGHUP where ``nohup`` has silenced it."""
    silenced = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(each for each in SIGNALS if each is not signal.SIGHUP or not silenced)


def install() -> None:
    """Have the signals raise :class:`Stopped` from here on, also one that was ``blocked`` until now."""
    for each in heeded():
        signal.signal(each, _deliver)
    if sys.unraisablehook is not _rescue:
        _rescue.others = sys.unraisablehook  # type: ignore[attr-defined]  # a function's own
        sys.unraisablehook = _rescue
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def blocked() -> Iterator[None]:
    """Leave the signals pending for the length of the block.

    A Python process that is begun in it has them pending until it calls ``install``: while it loads, SIGINT
    would be a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle() -> None:
    """Ignore the signals from here on: what they could stop is done, and must not be told otherwise."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def leave(code: int) -> NoReturn:
    """End the process, also where a thread still waits for an answer that nobody wants any more."""
    settle()
    if all(each.daemon for each in threading.enumerate() if each is not threading.main_thread()):
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """As ``install``, for the length of a block; nothing in threads, which no signal reaches."""
    with _handled(_deliver):
        yield


@contextmanager
def undisturbed(first: str = "") -> Iterator[None]:
    """Hold the signals back for the length of the block; the earliest one counts after it.

    A block that may last says by ``first`` what is done before we stop, as part of a sentence. Only the main
    thread is told of signals, so anywhere else there is nothing to hold back.
    """
    caught: list[int] = []

    def hold(signum: int, _frame: FrameType | None) -> None:
        if first and not caught:
            say(f"stopping, but first {first}")
        caught.append(signum)

    if first and isinstance(sys.exception(), KeyboardInterrupt):  # stopped already: this is the cleaning up
        say(f"stopping, but first {first}")

    try:
        with _handled(hold):
            yield
    finally:
        if caught:
            signal.raise_signal(caught[0])


@contextmanager
def asked_first(ask: Callable[[int], None]) -> Iterator[None]:
    """The first signal in the block calls ``ask``; a second one does what it does outside of it.

    ``ask`` runs in the middle of anything: it must take no lock, and tells by :func:`say`.
    """
    before: dict[signal.Signals, Any] = {}

    def first(signum: int, _frame: FrameType | None) -> None:
        _restore(before)
        ask(signum)

    with _handled(first, before):
        yield


def check() -> None:
    """Raise :class:`Stopped` if a signal came since this thread's work began, and it was not told yet."""
    seen = _scope()
    if seen.event.is_set():
        _threads.scope = None
        if _is_main():  # where the exception was lost on its way
            _renew()
        raise Stopped(seen.signum)


def pause(seconds: float) -> None:
    """Let time pass. Raises :class:`Stopped` at once when a signal comes."""
    check()
    if _is_main():
        time.sleep(seconds)  # the handler raises out of it; the event's lock it must never find taken
    else:
        _scope().event.wait(seconds)
    check()


def bound(call: Callable[..., T]) -> Callable[..., T]:
    """``call`` for another thread: a signal from now on ends it there, or keeps it from beginning."""
    scope = _scope()

    def run(*arguments: Any, **named: Any) -> T:
        _threads.scope = scope
        check()
        return call(*arguments, **named)

    return run


def abandonable(call: Callable[[], T]) -> T:
    """What ``call`` returns; where a signal comes first, :class:`Stopped`, and nobody hears of it any more.

    For a call that blocks without looking and changes nothing. In the main thread a signal ends it anyway.
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
                raise  # its own
            check()


def follow(parent: int, signum: int) -> None:
    """Have the kernel send us this signal when ``parent``, which began us, is gone, whatever ended it."""
    import ctypes  # every command loads this module, and few need that

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        os.kill(os.getpid(), signum)


def say(text: str) -> None:
    """Tell on stderr from anywhere: no buffer, no lock, and a lost terminal is no error."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())


def _deliver(signum: int, frame: FrameType | None) -> None:
    """Set the event of all that was begun, make a new one for what follows, and raise.

    Not in the middle of an import: modules of others catch everything there, and nobody would hear of it.
    """
    if _imports(frame):
        if not _held:
            say(f"stopping: {name_of(signum)} came while something was being loaded")
        _held.append(signum)
        _thread.start_new_thread(_send_again, (signum,))
        return
    _held.clear()
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
    """An exception raised while something is being collected goes nowhere: raise it at the next look."""
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
    """Have ``handler`` for the length of the block, if this is the main thread; fills ``before``."""
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

"""A timer that epoll can wait for, to the nanosecond: timerfd(2), which Python has by itself from 3.13 on.

``epoll_wait`` counts in milliseconds, which is 20 arrivals at 20,000 a second; and it is late by the timer
slack of the process. A timerfd has neither.
"""

from __future__ import annotations

import ctypes
import os
import time

_CREATE_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1
_SECOND = 1_000_000_000


class _Spec(ctypes.Structure):
    """``struct itimerspec``: interval, then value."""

    _fields_ = [
        ("every_s", ctypes.c_long),
        ("every_ns", ctypes.c_long),
        ("at_s", ctypes.c_long),
        ("at_ns", ctypes.c_long),
    ]


# PyDLL keeps the interpreter's lock: these calls do not block, and giving it away costs more than they do.
_LIBC = ctypes.PyDLL(None, use_errno=True)


class Timer:
    """A timer on the clock of ``time.monotonic_ns``: readable from the time it is set to until set again."""

    def __init__(self) -> None:
        self.fd: int = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, _CREATE_FLAGS)
        if self.fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"timerfd_create: {os.strerror(number)}")
        self._spec = _Spec()
        self._reference = ctypes.byref(self._spec)
        self._set = _LIBC.timerfd_settime

    def set(self, at: int) -> None:
        """Be due at ``at``, ns; a time that has passed: at once."""
        self._spec.at_s, self._spec.at_ns = divmod(max(at, 1), _SECOND)
        self._set(self.fd, _ABSOLUTE, self._reference, None)

    def close(self) -> None:
        os.close(self.fd)

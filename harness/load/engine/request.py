"""A request in flight, and its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from harness.judge0.model import NEVER


class Answer(NamedTuple):
    """The answer to a request. Times are ns on the engine's clock; ``sent`` is ``NEVER`` if it was not sent.

    ``error`` is empty if an answer came. Otherwise ``status`` is 0 and ``error`` begins with ``broken:``
    (no connection, or one that ended before the answer did) or ``timeout:``.
    """

    status: int
    body: bytes
    sent: int
    answered: int
    error: str


Then: TypeAlias = Callable[[Answer], None]


class Holder(Protocol):
    """Where a request is: in the queue, or on a connection."""

    def give_up(self, request: Request) -> None:
        """Its time is over."""


class Request:
    """One request: its bytes, the callback for the answer, its deadline, and when it was sent (ns)."""

    __slots__ = ("data", "give_up_at", "holder", "sent", "then")

    def __init__(self, data: bytes, then: Then, give_up_at: int, holder: Holder) -> None:
        self.data, self.then, self.give_up_at, self.holder = data, then, give_up_at, holder
        self.sent = NEVER

    def expire(self) -> None:
        """Its deadline has passed."""
        self.holder.give_up(self)

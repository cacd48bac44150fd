"""Answers kept for a short time, as Judge0 keeps rows."""

import time


class Cache:
    """What is older goes with the next that is put in, for a row may be large; at most `largest` of them."""

    def __init__(self, seconds: float, *, largest: int = 10_000) -> None:
        self._seconds, self._largest = seconds, largest
        self._kept: dict[str, tuple[float, object]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> object | None:
        until, value = self._kept.get(key, (0.0, None))
        return value if until > time.monotonic() else None

    def put(self, key: str, value: object) -> None:
        if self._seconds > 0:
            now = time.monotonic()
            self.drop(key)  # so that the order is that of the times
            while self._kept and (len(self._kept) >= self._largest or self._oldest() <= now):
                del self._kept[next(iter(self._kept))]
            self._kept[key] = (now + self._seconds, value)

    def drop(self, key: str) -> None:
        self._kept.pop(key, None)

    def _oldest(self) -> float:
        return next(iter(self._kept.values()))[0]

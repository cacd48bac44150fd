"""The address of Locust's master, as users write it."""

from __future__ import annotations

from harness.core.errors import UsageError

LOCAL_ADDRESS = "127.0.0.1", 0


def host_port(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``. Raises ``UsageError``."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(f"{text}: give the address of Locust's master as HOST:PORT, like 10.0.0.9:5557")
    return host, int(port)

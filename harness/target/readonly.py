"""Nothing but GET: what every read-only client requires, whichever library it uses."""

from __future__ import annotations

from harness.core.errors import ApiError

NOT_SENT = "not sent: this client is read-only, so it sends nothing but GET"


def require_get(method: str | None, url: str | None) -> None:
    """Raise ``ApiError``, before anything is sent, for any other method than GET."""
    if method != "GET":
        raise ApiError(f"{method} {url}", 0, "read_only", NOT_SENT)

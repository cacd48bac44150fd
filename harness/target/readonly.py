"""Nothing but GET: what every client that may only look insists on, whichever library it is made of."""

from __future__ import annotations

from harness.core.errors import ApiError

NOT_SENT = "not sent: this only looks, so nothing but GET is"


def require_get(method: str | None, url: str | None) -> None:
    """Raise ``ApiError``, before anything is sent, for any other method than GET."""
    if method != "GET":
        raise ApiError(f"{method} {url}", 0, "read_only", NOT_SENT)

"""The emulator's own API under ``/_wavetank/``, beyond the cloud's API, used over HTTP."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from harness.core.errors import ApiError
from harness.core.wait import scaled
from harness.target.readonly import require_get
from harness.target.target import Target

if TYPE_CHECKING:
    import httpx

PREFIX = "/_wavetank"
SECONDS = 30.0


class EmulatorApi:
    """A connection to an emulator's own API. Close it, or use it as a context manager.

    If the target is ``read_only`` it sends nothing but GET, like a client of the cloud's API.
    """

    def __init__(self, target: Target) -> None:
        import httpx

        self._endpoint = target.endpoint
        self._client = httpx.Client(
            base_url=f"{target.endpoint}{PREFIX}",
            headers={"authorization": f"Bearer {target.token}"},
            verify=ssl.create_default_context(cafile=target.ca_file),
            timeout=scaled(SECONDS),
            trust_env=False,
            event_hooks={"request": [_only_get]} if target.read_only else {},
        )

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The JSON document of an answer, {} for none. Raises ``ApiError`` for an error, or no answer."""
        import httpx

        request = f"{method} {self._endpoint}{PREFIX}{path}"
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ApiError(request, 0, "unreachable", str(error) or type(error).__name__) from error
        if answer.is_success and not answer.content:
            return {}
        try:
            document: dict[str, Any] = answer.json()
        except ValueError as error:
            raise ApiError(request, answer.status_code, "unreadable", answer.text[:200]) from error
        if not answer.is_success:
            error_body = document.get("id", ""), document.get("message", answer.text[:200])
            raise ApiError(request, answer.status_code, *map(str, error_body))
        return document

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> EmulatorApi:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _only_get(request: httpx.Request) -> None:
    require_get(request.method, str(request.url))

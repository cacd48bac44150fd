"""The only interface to DigitalOcean's API: pydo inside, our errors outside.

pydo returns the body of an error as if it were an answer wherever the OpenAPI document lists the status,
and repeats a POST after a 500, 503 or 504, which would create things twice. So a policy at each end of its
pipeline handles both for every call: no answer of 400 and above reaches pydo, and of the requests that
change something, only those that are safe to repeat are repeated.

A read-only client refuses every method but GET twice: in the policy, and in the transport, through which
every byte must pass. A target that is ``read_only`` has only such clients.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy, RetryPolicy
from azure.core.pipeline.transport import RequestsTransport

from harness.core import signals
from harness.core.errors import ApiError, CredentialsError
from harness.core.wait import scaled
from harness.target.readonly import require_get

if TYPE_CHECKING:
    from harness.target.target import Target

PAGE = 200
CONNECT_SECONDS = 10
READ_SECONDS = 60
RETRY_SECONDS = 120
READING = ("GET", "HEAD", "OPTIONS")
NOT_FOUND = 404
TOO_MANY = 429

Body = dict[str, Any]


class Api:
    """A pydo client whose every call returns the document or raises ``ApiError`` or ``CredentialsError``.

    ``client`` is pydo's, as documented there; safe to use from several threads. With ``read_only``, and
    always if the target is, a call by any other method than GET raises ``ApiError`` before it is sent.
    ``mutations`` and ``reads`` count the requests of each kind. Close it, or use it as a context manager.
    """

    def __init__(self, target: Target, *, read_only: bool = False) -> None:
        import pydo  # 0.2 s and 67 MB, so only where an API is called

        only_get = read_only or target.read_only
        self._boundary = _Boundary(target.endpoint, read_only=only_get)
        connecting = {
            "connection_timeout": scaled(CONNECT_SECONDS),
            "read_timeout": scaled(READ_SECONDS),
            "connection_verify": str(target.ca_file) if target.ca_file else True,
        }
        self.client: Any = pydo.Client(
            target.token,
            endpoint=target.endpoint,
            timeout=scaled(RETRY_SECONDS),
            retry_policy=_SafeRetry(retry_connect=1, timeout=scaled(RETRY_SECONDS)),
            per_call_policies=[self._boundary],
            transport=(_OnlyGet if only_get else RequestsTransport)(**connecting),
        )
        if only_get:  # these two send some of their requests past the pipeline
            self.client.agents = self.client.gateway = None
        self.client.__enter__()

    @property
    def mutations(self) -> int:
        """How many requests that change something were sent."""
        return self._boundary.mutations

    @property
    def reads(self) -> int:
        """How many requests that only read were sent."""
        return self._boundary.reads

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def every(operation: Callable[..., Any], key: str, **arguments: Any) -> list[Body]:
    """All items of a paginated list: ``every(api.client.droplets.list, "droplets", tag_name=...)``."""
    items: list[Body] = []
    page = 1
    while True:
        document = operation(per_page=PAGE, page=page, **arguments)
        found = document.get(key) or []
        items += found
        pages = (document.get("links") or {}).get("pages") or {}
        if not found or "next" not in pages:
            return items
        page += 1


def absent(operation: Callable[..., Any], *arguments: Any) -> bool:
    """Whether the API says that there is no such thing."""
    return optional(operation, *arguments) is None


def optional(operation: Callable[..., Any], *arguments: Any) -> Any:
    """The answer of ``operation``; None if the API says that there is no such thing, {} for no body."""
    try:
        return operation(*arguments) or {}
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise
        return None


class _SafeRetry(RetryPolicy[Any, Any]):
    """Repeats what is safe to repeat. A POST is repeated only after 429, which refuses before acting."""

    def is_retry(self, settings: dict[str, Any], response: PipelineResponse[Any, Any]) -> bool:
        if response.http_request.method == "POST" and response.http_response.status_code != TOO_MANY:
            return False
        return bool(super().is_retry(settings, response))


class _OnlyGet(RequestsTransport):  # type: ignore[misc]  # Any to mypy
    """The transport of a read-only client: it sends no method but GET."""

    def send(self, request: Any, **kwargs: Any) -> Any:
        require_get(request.method, request.url)
        return super().send(request, **kwargs)


class _Boundary(HTTPPolicy[Any, Any]):
    """Outermost policy: counts requests, refuses changes by read-only clients, and raises our errors."""

    def __init__(self, endpoint: str, *, read_only: bool) -> None:
        super().__init__()
        self._endpoint, self._read_only = endpoint, read_only
        self._lock = threading.Lock()
        self.mutations = self.reads = 0

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        method, url = request.http_request.method, request.http_request.url
        self._count(method, url)
        try:
            response = self._sent(request)
        except HttpResponseError as error:  # an answer that is not JSON
            raise ApiError(f"{method} {url}", error.status_code or 0, "unreadable", error.message) from error
        except AzureError as error:
            raise ApiError(f"{method} {url}", 0, "unreachable", _reason(error)) from error
        if response.http_response.status_code >= 400:
            raise self._error(f"{method} {url}", response.http_response)
        return response

    def _sent(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """The answer; a signal interrupts the wait for a read, but not the wait for a change."""
        if request.http_request.method not in READING:
            return self.next.send(request)
        return signals.abandonable(partial(self.next.send, request))

    def _count(self, method: str, url: str) -> None:
        if self._read_only:
            require_get(method, url)
        if method in READING:
            with self._lock:
                self.reads += 1
            return
        with self._lock:
            self.mutations += 1

    def _error(self, request: str, response: Any) -> Exception:
        try:
            body = response.json()
        except ValueError:
            body = {"message": response.text()[:500]}
        body = body if isinstance(body, dict) else {"message": str(body)}
        message = str(body.get("message", "no message"))
        if response.status_code == 401:
            return CredentialsError(
                f"{self._endpoint} refused the token in DIGITALOCEAN_TOKEN: {message} ({request}: 401)"
            )
        if body.get("request_id"):
            message += f" (request {body['request_id']})"
        return ApiError(request, response.status_code, str(body.get("id", "error")), message)


def _reason(error: AzureError) -> str:
    """The innermost cause of a failed connection, without urllib3's wrapping if it has one."""
    inner = getattr(error, "inner_exception", None) or error
    return str(getattr(inner.args[0], "reason", inner) if inner.args else inner)

"""An emulated DigitalOcean inside the process, behind the ``responses`` library, in the manner of moto::

    with emulator.mock() as cloud:
        pydo.Client("any token").droplets.list()

As a decorator it wraps one function. Nothing runs and everything is instant: what a request asks for is
done before the next one, unless ``transitions="manual"``, where :meth:`Cloud.advance` does it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from requests import PreparedRequest

    from emulator.cloud.core import Cloud
    from emulator.cloud.jobs import Transitions
    from emulator.planes.base import Plane

ENDPOINT = "https://api.digitalocean.com"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@contextmanager
def mock(
    *, endpoint: str = ENDPOINT, plane: Plane | None = None, transitions: Transitions = "immediate"
) -> Iterator[Cloud]:
    """Answer requests to ``endpoint`` from a fresh, empty account; any token is let in.

    Other requests of the ``requests`` library are refused meanwhile. ``plane`` defaults to a
    ``MemoryPlane``; pass one with faults to see a client meet them.
    """
    import responses

    from emulator.api.app import Api
    from emulator.api.http import make_request
    from emulator.cloud.core import Cloud
    from emulator.planes.memory import MemoryPlane

    cloud = Cloud(None, plane or MemoryPlane(), transitions=transitions)
    cloud.start()
    api = Api(cloud, any_token=True)

    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        response = api.handle(
            make_request(request.method or "GET", request.url or "", dict(request.headers), _body(request))
        )
        return response.status, dict(response.headers), response.content()

    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        for method in METHODS:
            url = re.compile(re.escape(endpoint) + "(?:/.*)?$")
            mocked.add_callback(method, url, callback=answer, content_type="application/json")
        try:
            yield cloud
        finally:
            cloud.close()


def _body(request: PreparedRequest) -> bytes:
    body = request.body
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else bytes(body)

"""Requests that mean harm: whatever is sent, the answer is the client's fault in DigitalOcean's shape."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig import TOKEN, call, make_database, make_droplet

from emulator.api.app import Api, all_routes
from emulator.api.bodies import MOST_BODY
from emulator.api.http import Request
from emulator.cloud.core import Cloud
from emulator.cloud.models import Tag
from emulator.planes.memory import MemoryPlane

HOSTILE = {
    "deep arrays": b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a little too deep": b'{"name": ' + b"[" * 900 + b"]" * 900 + b"}",
    "an unfinished depth": b"[" * 200_000,
    "a lone surrogate": b'{"name": "\\ud800"}',
    "a lone surrogate in a key": b'{"name": "a", "\\udfff": 1}',
    "a surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "a number of 5000 digits": b'{"name": ' + b"9" * 5000 + b"}",
    "an integer of 65 bits": b'{"name": "a", "page": 18446744073709551616}',
    "a negative one": b'{"name": "a", "page": -9223372036854775809}',
    "1e400": b'{"name": "a", "page": 1e400}',
    "NaN": b'{"name": "a", "page": NaN}',
    "Infinity": b'{"name": "a", "page": -Infinity}',
    "a key twice": b'{"name": "a", "name": "b"}',
    "NUL": b'{"name": "a\\u0000b"}',
    "a raw NUL": b'{"name": "a\x00b"}',
    "bad UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "UTF-32": '{"name": "a"}'.encode("utf-32"),
    "a byte order mark": b'\xef\xbb\xbf{"name": "a"}',
    "a list": b"[]",
    "two documents": b"{}{}",
}
HOSTS = (
    "[::1", "::1]", "[]", "[::1]x", "[:::]", "[zz]", "a b", "a/b", "a@b", "a:b", "a:99999", "a:-1", "\x00",
    "", "a\r\nb", "[::1]:99999", "http://a", "\xff", "a" * 300, "?", "#", "a, b",
)  # fmt: skip
ODD = ["\ud800", "0", "", "all", "1-", "²", "0x1", "1_000", "²²", "٣", "9" * 5000, "a" * 500]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 80), 1 << 80)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(ODD)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = """
    name names region size image ssh_keys tags user_data vpc_uuid public_networking monitoring backups volumes
    type disk engine num_nodes version rules value private_network_uuid storage_size_mib project_id protocol
    inbound_rules outbound_rules ports sources destinations addresses droplet_ids tag resources resource_id
    resource_type public_key ip_range description default purpose environment is_default delay_ms jitter_ms
    loss_percent tcp udp icmp passes pairs source target side
""".split()  # noqa: SIM905 (a list would be fifty lines)
SSH = {"protocol": "tcp", "ports": "22", "sources": {"addresses": ["0.0.0.0/0"]}}
REASONABLE = {
    "name": "web", "names": ["a", "b"], "region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64",
    "engine": "pg", "num_nodes": 1, "type": "power_off", "inbound_rules": [SSH], "passes": 1, "tcp": "1-9",
    "resources": [{"resource_id": "1", "resource_type": "droplet"}], "ip_range": "10.9.0.0/24", "delay_ms": 1,
    "rules": [{"type": "ip_addr", "value": "10.0.0.1"}],
    "pairs": [{"source": "internet", "target": "droplet:1", "side": "public"}],
}  # fmt: skip
SEGMENTS = st.sampled_from(
    ["1", "510000001", "0", "-1", "9" * 5000, "%00", "%ff", "%ed%a0%80", "²", "%C2%B2", "1e400", "default"]
) | st.text(
    st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="/?#"), min_size=1, max_size=9
)
QUERIES = st.dictionaries(
    st.sampled_from(["page", "per_page", "tag_name", "name", "type", "private", "resource_type"]),
    st.text(max_size=9) | st.sampled_from(["9" * 5000, "²", "٣", "-1", "0", "1", "\x00", "200", "1" * 19]),
    max_size=3,
)
PROPER = ["localhost", "127.0.0.1:8443", "[::1]", "[fe80::1]:80", "tank.example:99", "a_b.c"]


@pytest.mark.parametrize("what", HOSTILE)
def test_a_body_that_is_hostile_is_refused(cloud: Cloud, what: str) -> None:
    """400 or 422 in DigitalOcean's shape, and nothing is made."""
    response = call(cloud, "POST", "/v2/tags", HOSTILE[what])
    assert response.status in (400, 422), response
    assert set(response.body) == {"id", "message", "request_id"}
    assert not cloud.store.all(Tag)


def test_a_body_beyond_the_limit_is_too_large(cloud: Cloud) -> None:
    """413; what is as large as it may be is read."""
    filling = MOST_BODY - len(b'{"name": ""}')
    assert call(cloud, "POST", "/v2/tags", b'{"name": "%s"}' % (b"a" * filling)).status == 422
    response = call(cloud, "POST", "/v2/tags", b'{"name": "%s"}' % (b"a" * (filling + 1)))
    assert (response.status, response.body["id"]) == (413, "request_entity_too_large")


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_none_is_a_bad_request(cloud: Cloud, host: str) -> None:
    """It would be in the links of a page."""
    request = Request(
        "GET", "/v2/sizes", {"per_page": "1"}, {"authorization": "Bearer x"}, base_url=f"http://{host}"
    )
    response = Api(cloud, any_token=True).handle(request)
    assert (response.status, response.body["id"]) == (400, "bad_request")
    assert Api(cloud).handle(request).status == 401, "who has no token is told nothing else"


@pytest.mark.parametrize("host", PROPER)
def test_a_host_that_is_one_is_taken(cloud: Cloud, host: str) -> None:
    """Names, IPv4 and IPv6, with and without a port."""
    request = Request("GET", "/v2/sizes", {}, {"authorization": "Bearer x"}, base_url=f"http://{host}")
    assert Api(cloud, any_token=True).handle(request).status == 200


@pytest.fixture(scope="module")
def inhabited() -> Any:
    """A cloud with one of everything, for requests that may do to it what they like."""
    cloud = Cloud(None, MemoryPlane(), transitions="immediate")
    cloud.start()
    make_droplet(cloud, "victim")
    make_database(cloud, "victim")
    yield cloud
    cloud.close()


def _bodies() -> st.SearchStrategy[Any]:
    """Objects with the fields that the API knows, some as they should be and some not."""
    spoilt = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4)
    return spoilt.map(lambda changes: {**REASONABLE, **changes}) | spoilt | VALUES


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    route=st.sampled_from(sorted(all_routes(), key=lambda route: (route.path, route.method))),
    segments=st.lists(SEGMENTS, min_size=4, max_size=4),
    query=QUERIES,
    body=_bodies(),
)
def test_no_request_is_a_fault_of_ours(
    inhabited: Cloud, route: Any, segments: list[str], query: Any, body: Any
) -> None:
    """Over every operation: no 5xx but 501, and an error has DigitalOcean's shape."""
    rest = iter(segments)
    path = re.sub(r"{\w+}", lambda _: next(rest), route.path)
    data = json.dumps(body).encode()
    response = Api(inhabited, any_token=True).handle(
        Request(route.method, path, query, {name.lower(): value for name, value in TOKEN.items()}, data)
    )
    assert response.status < 500 or response.status == 501, (response, route)
    json.loads(response.content() or b"{}")
    if response.status >= 400:
        assert set(response.body) == {"id", "message", "request_id"}

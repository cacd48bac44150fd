"""A client of a read-only target sends nothing but GET, whatever it is asked for and whoever asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.rest import HttpRequest
from hand_made import HandMade

from harness import provision
from harness.core.errors import ApiError, WavetankError
from harness.core.progress import Progress
from harness.isolation.outsider import outsider
from harness.provision.ready import Deadlines
from harness.target.api import Api
from harness.target.emulator_api import EmulatorApi
from harness.target.target import Target
from harness.topology.model import Topology

# One call of each method that changes something, and of each kind of thing.
CHANGES: dict[str, Callable[[Any, HandMade], Any]] = {
    "POST droplet": lambda client, _: client.droplets.create(body={"name": "x"}),
    "POST action": lambda client, made: client.droplet_actions.post(
        made.droplets["client"]["id"], body={"type": "power_off"}
    ),
    "POST rules": lambda client, made: client.firewalls.add_rules(
        made.firewalls["runner"]["id"], body={"inbound_rules": []}
    ),
    "POST tag": lambda client, _: client.tags.create(body={"name": "x"}),
    "POST user": lambda client, made: client.databases.add_user(
        made.databases["mongo"]["id"], body={"name": "x"}
    ),
    "PUT firewall": lambda client, made: client.firewalls.update(
        made.firewalls["runner"]["id"], body={"name": "x"}
    ),
    "PUT sources": lambda client, made: client.databases.update_firewall_rules(
        made.databases["mongo"]["id"], body={"rules": []}
    ),
    "PATCH vpc": lambda client, made: client.vpcs.patch(made.vpc["id"], body={"name": "x"}),
    "DELETE droplet": lambda client, made: client.droplets.destroy(made.droplets["client"]["id"]),
    "DELETE by tag": lambda client, _: client.droplets.destroy_by_tag(tag_name="production"),
    "DELETE vpc": lambda client, made: client.vpcs.delete(made.vpc["id"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_change_is_sent(change: str, made: HandMade, target: Target, arrived: Counter[str]) -> None:
    """The call raises, and nothing at all has arrived at the server."""
    with Api(target) as api, pytest.raises(ApiError, match="not sent") as caught:
        CHANGES[change](api.client, made)
    assert (caught.value.status, api.mutations, arrived) == (0, 0, Counter())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "get"])
def test_no_method_but_get_passes_the_transport(
    method: str, made: HandMade, target: Target, arrived: Counter[str]
) -> None:
    """Past the policy, with the pipeline's own transport in hand, there is no way either."""
    request = HttpRequest(method, "https://api.digitalocean.com/v2/droplets")
    request.method = method
    with Api(target) as api:
        transport = api.client._client._pipeline._transport
        with pytest.raises(ApiError, match="not sent"):
            transport.send(request)
        with pytest.raises(ApiError, match="not sent"):
            api.client.send_request(request)
    assert arrived == Counter()


def test_what_goes_past_the_pipeline_is_not_there(target: Target) -> None:
    """pydo's agents and gateway send some requests by other means: a read-only client has neither."""
    with Api(target) as api:
        assert (api.client.agents, api.client.gateway) == (None, None)


def test_reading_is_as_ever(made: HandMade, target: Target, arrived: Counter[str]) -> None:
    """GET passes, and is counted."""
    with Api(target) as api:
        assert len(api.client.droplets.list()["droplets"]) == len(made.droplets)
        assert (api.reads, api.mutations) == (1, 0)
    assert arrived == Counter(GET=1)


def test_a_client_that_may_write_still_does(made: HandMade, target: Target, arrived: Counter[str]) -> None:
    """The refusal is the target's, and no other's."""
    with Api(replace(target, read_only=False)) as api:
        api.client.tags.create(body={"name": "x"})
    assert arrived == Counter(POST=1)


def test_nothing_of_ours_gets_a_client_that_writes(
    made: HandMade, target: Target, topology: Topology, arrived: Counter[str]
) -> None:
    """Standing up, taking down, locking down and a stranger: all begin with the target, and end there."""
    quiet, key = Progress(quiet=True), "ssh-ed25519 AAAA x"
    deployment = provision.observe(target, topology, "whole")
    for change in (
        lambda: provision.provision(target, topology, "whole", public_key=key, progress=quiet),
        lambda: outsider(target, topology, deployment, deadlines=Deadlines()).__enter__(),
    ):
        with pytest.raises(WavetankError, match="not sent"):
            change()
    assert set(arrived) == {"GET"}


def test_an_emulators_own_paths_are_no_way_around(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by asking nor by the connection within: scans, links and counters are read or not at all."""
    sent: list[str] = []

    def send(_: object, request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        return httpx.Response(200, json={})

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", send)
    with EmulatorApi(target) as emulator:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            with pytest.raises(ApiError, match="not sent"):
                emulator.ask(method, "/scans", {})
            with pytest.raises(ApiError, match="not sent"):
                emulator._client.request(method, "/links/droplets/1")
        emulator.ask("GET", "/counters")
    assert sent == ["GET"]


def test_target_of_existing_is_read_only(
    made: HandMade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever asks for the target of a session with ``--existing`` gets one that only reads."""
    from harness.run.settings import Settings, choose_existing, resolve, resolve_existing

    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "token")
    monkeypatch.delenv("DIGITALOCEAN_API_URL", raising=False)
    settings = Settings(target="do", existing="production", state_dir=tmp_path)
    assert resolve(settings, "do", Progress(quiet=True)).read_only
    assert resolve_existing(choose_existing(settings), Progress(quiet=True)).read_only
    assert not resolve(replace(settings, existing=None), "do", Progress(quiet=True)).read_only

"""The mock, as a user's unit tests take it."""

from __future__ import annotations

import pydo
import pytest
import requests
from azure.core.exceptions import HttpResponseError

import emulator
from emulator.planes.memory import MemoryPlane

BODY = {"name": "web", "region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}


def test_an_account_begins_empty() -> None:
    """Any token is let in."""
    with emulator.mock():
        assert pydo.Client("any").droplets.list()["droplets"] == []


def test_what_is_asked_for_is_there_at_the_next_look() -> None:
    """And nothing of one mock is in the next."""
    with emulator.mock():
        client = pydo.Client("any")
        made = client.droplets.create(body=BODY)["droplet"]
        assert client.droplets.get(made["id"])["droplet"]["status"] == "active"
    with emulator.mock():
        assert pydo.Client("any").droplets.list()["meta"]["total"] == 0


@emulator.mock()
def test_it_is_a_decorator_too() -> None:
    """For a function that needs no hand on the cloud."""
    assert pydo.Client("any").account.get()["account"]["status"] == "active"


def test_time_can_be_moved_by_hand() -> None:
    """new, until the test lets it go on."""
    with emulator.mock(transitions="manual") as cloud:
        client = pydo.Client("any")
        made = client.droplets.create(body=BODY)
        droplet_id, action_id = made["droplet"]["id"], made["links"]["actions"][0]["id"]
        assert client.droplets.get(droplet_id)["droplet"]["status"] == "new"
        assert client.actions.get(action_id)["action"]["completed_at"] is None
        assert cloud.advance() == 1
        assert client.droplets.get(droplet_id)["droplet"]["status"] == "active"


def test_clients_meet_a_cloud_that_fails() -> None:
    """Faults are injected by name."""
    with emulator.mock(plane=MemoryPlane(faults={"droplet:web": "never boots"})):
        client = pydo.Client("any")
        made = client.droplets.create(body=BODY)
        assert client.actions.get(made["links"]["actions"][0]["id"])["action"]["status"] == "errored"


def test_pydo_does_not_try_again_what_is_not_implemented() -> None:
    """501 is final: one request, one error that says so."""
    with emulator.mock(), pytest.raises(HttpResponseError, match="not implemented by the Wavetank emulator"):
        pydo.Client("any").volumes.create(body={"name": "v", "size_gigabytes": 1})


def test_other_addresses_are_not_reached() -> None:
    """A unit test that strays is stopped."""
    with emulator.mock(), pytest.raises(requests.ConnectionError):
        requests.get("http://127.0.0.1:9/", timeout=1)


def test_a_request_needs_a_token_all_the_same() -> None:
    """As on DigitalOcean."""
    with emulator.mock():
        assert requests.get("https://api.digitalocean.com/v2/account", timeout=1).status_code == 401


def test_another_endpoint_can_be_mocked() -> None:
    """Links are on it."""
    with emulator.mock(endpoint="https://cloud.example"):
        made = pydo.Client("any", endpoint="https://cloud.example").droplets.create(body=BODY)
        assert made["links"]["actions"][0]["href"].startswith("https://cloud.example/v2/actions/")

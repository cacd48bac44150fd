"""An unmodified pydo client meets no difference, through the mock and through a server with TLS."""

from __future__ import annotations

from collections.abc import Iterator

import pydo
import pytest
from drivers import PydoDriver
from serving import Served, served
from tour import tour

import emulator
from emulator.api.app import all_routes

IMPLEMENTED = {route.operation for route in all_routes() if route.operation}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server process on the memory plane."""
    with served(tmp_path_factory.mktemp("emulator")) as server:
        yield server


def test_pydo_tours_the_mock() -> None:
    """Every implemented operation works through ``emulator.mock()``."""
    with emulator.mock():
        driver = PydoDriver(pydo.Client("any token"))
        tour(driver)
    assert driver.called == IMPLEMENTED


def test_pydo_tours_a_server_over_tls(server: Served) -> None:
    """Every implemented operation works over https, with the emulator's own CA checked."""
    client = pydo.Client(server.token, endpoint=server.https, connection_verify=server.ca_file)
    driver = PydoDriver(client)
    tour(driver)
    assert driver.called == IMPLEMENTED


def test_links_are_absolute_on_the_emulator(server: Served) -> None:
    """The link to an action leads to the server that gave it."""
    client = pydo.Client(server.token, endpoint=server.https, connection_verify=server.ca_file)
    body = {"name": "linked", "region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
    made = client.droplets.create(body=body)
    link = made["links"]["actions"][0]
    assert link["href"] == f"{server.https}/v2/actions/{link['id']}"
    client.droplets.destroy(made["droplet"]["id"])

"""Addresses of tasks and services on the overlay network, as the engine's documents have them."""

from __future__ import annotations

from typing import Any

from harness.verify.swarm.view import addresses, virtual


def attached(network: str, *found: str) -> dict[str, Any]:
    """A task's attachment to a network."""
    return {"Network": {"ID": f"id-of-{network}", "Spec": {"Name": network}}, "Addresses": list(found)}


TASKS: list[Any] = [
    {
        "ID": "one",
        "NetworksAttachments": [attached("ingress", "10.0.0.7/24"), attached("net", "10.0.1.7/24")],
    },
    {"ID": "two", "NetworksAttachments": [attached("net")]},
    {"ID": "three", "NetworksAttachments": None},
]
VIRTUAL = {"ingress": "10.0.0.2/24", "net": "10.0.1.2/24"}


def test_a_task_is_at_its_address_on_the_network_that_counts() -> None:
    """One without an address yet, or on no network, is nowhere."""
    assert addresses(TASKS, "net") == ({"one": "10.0.1.7"}, {"id-of-net"})


def test_a_service_is_at_its_virtual_address() -> None:
    """That of the same network, without its prefix."""
    ips = [{"NetworkID": f"id-of-{name}", "Addr": at} for name, at in VIRTUAL.items()]
    service = {"Endpoint": {"Spec": {"Mode": "vip"}, "VirtualIPs": ips}}
    assert virtual(service, {"id-of-net"}) == "10.0.1.2"


def test_a_service_in_dnsrr_has_none() -> None:
    """Whatever it had before; nor has one without an endpoint."""
    left = {"Spec": {"Mode": "dnsrr"}, "VirtualIPs": [{"NetworkID": "id-of-net", "Addr": "10.0.1.2/24"}]}
    assert virtual({"Endpoint": left}, {"id-of-net"}) == ""
    assert virtual({"Endpoint": {}}, {"id-of-net"}) == ""

"""What counts as the same, though written differently."""

from __future__ import annotations

from typing import Any

import pytest

from harness.provision.compare import (
    firewall_differences,
    same_firewall,
    same_key,
    same_sources,
    same_version,
)


def firewall(
    ports: str = "22", addresses: tuple[str, ...] = ("10.0.0.0/8",), **changes: Any
) -> dict[str, Any]:
    """A firewall with one rule each way."""
    rule = {"protocol": "tcp", "ports": ports}
    return {
        "inbound_rules": [{**rule, "sources": {"addresses": list(addresses)}}],
        "outbound_rules": [{**rule, "destinations": {"tags": ["x"]}}],
        "tags": ["a", "b"],
        **changes,
    }


@pytest.mark.parametrize(
    "other",
    [
        firewall(tags=["b", "a"]),
        firewall(droplet_ids=None, load_balancer_uids=[]),
        {**firewall(), "inbound_rules": firewall()["inbound_rules"] * 2},
    ],
)
def test_order_repetition_and_nothing_make_no_difference(other: dict[str, Any]) -> None:
    """The API returns lists as it likes."""
    assert same_firewall(firewall(), other)


def test_all_ports_are_zero_however_said() -> None:
    """Clients send "all", the API answers "0"."""
    assert same_firewall(firewall("all"), firewall("0"))
    assert not same_firewall(firewall("1-65535"), firewall("0"))


def test_icmp_has_no_ports() -> None:
    """The API answers "0" where none were given."""
    given = {"inbound_rules": [{"protocol": "icmp", "sources": {"addresses": ["10.0.0.1"]}}]}
    shown = {"inbound_rules": [{"protocol": "icmp", "ports": "0", "sources": {"addresses": ["10.0.0.1/32"]}}]}
    assert same_firewall(given, shown)


def test_what_differs_is_named() -> None:
    """For the plan's reason."""
    assert (
        firewall_differences(firewall(), firewall("23", tags=["a"])) == "inbound rules, outbound rules, tags"
    )
    assert firewall_differences(firewall(), firewall(droplet_ids=[1])) == "droplets"


def test_trusted_sources_are_compared_by_type_and_value() -> None:
    """Their ids are the API's business."""
    given = [{"type": "tag", "value": "x"}]
    assert same_sources([{"type": "tag", "value": "x", "uuid": "1"}], given)
    assert not same_sources([], given)


@pytest.mark.parametrize(
    ("seen", "wanted", "same"), [("7.0", "7", True), ("7", "7.0", True), ("17", "1", False)]
)
def test_a_version_may_leave_out_the_minor(seen: str, wanted: str, same: bool) -> None:
    """Asked for 7, one gets 7.0."""
    assert same_version(seen, wanted) is same


def test_keys_are_the_same_whatever_their_comment() -> None:
    """Some clients add one, some a newline."""
    assert same_key("ssh-ed25519 AAAA me\n", "ssh-ed25519 AAAA")
    assert not same_key("ssh-ed25519 AAAA", "ssh-ed25519 AAAB")

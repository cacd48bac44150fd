"""This machine's own network: what of it counts, and what is the engine's."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from harness.run.rundir import RunDir
from harness.verify.network import hostnet

BRIDGE = IPv4Network("172.17.0.0/16")
ENGINE = """\
*filter
:FORWARD DROP [12:720]
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 1080 -j ACCEPT
COMMIT
*nat
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 1080 -j MASQUERADE
-A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 32768 -j DNAT --to-destination 172.17.0.2:1080
COMMIT
""".splitlines()
STANDING = {
    "filter :FORWARD DROP",
    "filter -A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
    "nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
}


def link(name: str, *addresses: tuple[str, int, str], **more: Any) -> dict[str, Any]:
    """An interface as ``ip -json`` tells it."""
    infos = [{"local": local, "prefixlen": prefix, "scope": scope} for local, prefix, scope in addresses]
    return {"ifname": name, "mtu": 1500, "addr_info": infos, **more}


def test_rules_of_a_container_on_the_bridge_are_the_engines() -> None:
    """What publishes a container's port is left out, and so are counters; standing rules are not."""
    assert set(hostnet.filters(ENGINE, BRIDGE)) == STANDING


@pytest.mark.parametrize(
    "rule",
    [
        "-A FORWARD -d 10.8.0.0/24 -j ACCEPT",
        "-A POSTROUTING -s 172.18.0.2/32 -j MASQUERADE",
        "-A INPUT -s 192.168.1.9/32 -j DROP",
        "-A FORWARD -s 172.17.0.0/16 -j ACCEPT",
    ],
)
def test_any_other_rule_counts(rule: str) -> None:
    """A rule about other networks, or about the whole bridge, is a change."""
    changed = set(hostnet.filters(["*filter", rule], BRIDGE))
    assert changed == {f"filter {rule}"}


def test_interfaces_count_with_their_addresses() -> None:
    """But for a port of the bridge, its link-local address, and addresses that are for the moment."""
    links = [
        link("eth0", ("192.168.1.5", 24, "global")),
        link("docker0", ("172.17.0.1", 16, "global"), ("fe80::1", 64, "link")),
        link("veth1", ("fe80::2", 64, "link"), master="docker0"),
        link("veth2", ("10.0.0.1", 24, "global")),
    ]
    assert list(hostnet.interfaces(links, {"veth1"})) == [
        "eth0 1500 192.168.1.5/24",
        "docker0 1500 172.17.0.1/16",
        "veth2 1500 10.0.0.1/24",
    ]


def test_routes_count_but_for_how_long_they_last() -> None:
    """Seconds to live change by themselves; the bridge's link-local routes come with its first port."""
    found = hostnet.routes(
        [
            {"dst": "default", "gateway": "192.168.1.1", "dev": "eth0", "expires": 17},
            {"dst": "fe80::/64", "dev": "docker0"},
            {"dst": "fe80::/64", "dev": "veth1"},
            {"dst": "10.8.0.0/24", "dev": "docker0"},
        ],
        {"veth1"},
    )
    assert list(found) == ["dst default gateway 192.168.1.1 dev eth0", "dst 10.8.0.0/24 dev docker0"]


def test_tables_that_iptables_does_not_show_count() -> None:
    """Whole, with the table's name; those it does show are told by it already."""
    text = "table inet fabric {\n\tchain forward {\n\t}\n}\ntable ip filter {\n\tchain DOCKER {\n\t}\n}\n"
    found = list(hostnet.nft_tables(text))
    assert "table inet fabric: chain forward {" in found
    assert not any("DOCKER" in line for line in found)


def test_differences_are_told_both_ways() -> None:
    """What went and what came; a kind that could be read only once says nothing."""
    before = {"routes": ["a", "b"], "iptables-save": ["x"]}
    after = {"routes": ["b", "c"], "nft": ["y"]}
    assert hostnet.differences(before, after) == ["routes: -a", "routes: +c"]


def test_first_look_is_kept(tmp_path: Path) -> None:
    """A later one does not replace it: it may have been taken with the run standing."""
    run_dir = RunDir(tmp_path, "r")
    run_dir.path.mkdir(parents=True)
    assert hostnet.saved(run_dir) is None
    assert hostnet.changed(run_dir) == ""
    hostnet.save(run_dir, {"routes": ["a"]})
    hostnet.save(run_dir, {"routes": ["b"]})
    assert hostnet.saved(run_dir) == {"routes": ["a"]}


def test_a_look_before_a_reboot_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that was booted since has made its network anew."""
    run_dir, boot = RunDir(tmp_path, "r"), tmp_path / "boot_id"
    run_dir.path.mkdir(parents=True)
    monkeypatch.setattr(hostnet, "BOOT_ID", boot)
    for name in ("first", "second"):
        boot.write_text(name)
        hostnet.save(run_dir, {"routes": [name]})
    assert hostnet.saved(run_dir) == {"routes": ["second"]}


@pytest.mark.skipif(not hostnet.is_possible(), reason="needs Linux and the ip command")
def test_reading_changes_nothing() -> None:
    """Two looks in a row tell the same of what is not in others' hands."""
    one, other = hostnet.read(), hostnet.read()
    assert one["switches"] == other["switches"]
    assert any(line.startswith("lo ") for line in one["interfaces"])

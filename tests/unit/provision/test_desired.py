"""What a topology asks for, as bodies of requests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from small_topology import OPERATORS, droplet, make_topology

from harness.core.errors import TopologyError, UsageError
from harness.provision.desired import bootstrap, bootstrap_tags, desired, firewalls
from harness.provision.firstboot import MARKER, user_data
from harness.topology.model import Firewall, Management, Rule

RANGE = "10.8.0.0/20"


def test_every_droplet_carries_the_runs_tag_and_its_own() -> None:
    """The run is found by the first, firewalls name the droplet by the second."""
    assert desired(make_topology(), "a").droplets["web"]["tags"] == ["wavetank:a", "wavetank:a:web"]


def test_a_database_trusts_droplets_by_their_tags() -> None:
    """A droplet that is made later is trusted at once."""
    body = desired(make_topology(), "a").databases["main"]
    assert body["rules"] == [{"type": "tag", "value": "wavetank:a:api"}]


def test_peers_become_tags_and_addresses() -> None:
    """Droplets by tag, the internet, the VPC and operators by address."""
    rules = firewalls(make_topology(), "a", RANGE, OPERATORS)
    everyone = {"addresses": ["0.0.0.0/0", "::/0"]}
    web, api = rules["wavetank-a--web"], rules["wavetank-a--api"]
    assert web["inbound_rules"] == [{"protocol": "tcp", "ports": "80", "sources": everyone}]
    assert web["outbound_rules"][0]["destinations"] == {"tags": ["wavetank:a:api"]}
    assert api["outbound_rules"][0]["destinations"] == {"addresses": [RANGE]}
    login = rules["wavetank-a--management-bastion"]["inbound_rules"][0]
    assert login["sources"] == {"addresses": list(OPERATORS)}


def test_an_icmp_rule_has_no_ports() -> None:
    """The API takes none."""
    ping = Firewall("ping", ("web",), (Rule("icmp", "0", ("vpc",)),), ())
    made = firewalls(make_topology(firewalls=(ping,)), "a", RANGE, OPERATORS)
    assert "ports" not in made["wavetank-a--ping"]["inbound_rules"][0]


def test_no_firewall_has_more_tags_than_digitalocean_takes() -> None:
    """Five; what is declared over more droplets comes as several, and every droplet is covered."""
    names = [f"n{number}" for number in range(9)]
    topology = make_topology(
        droplets={name: droplet(name) for name in names},
        databases={},
        firewalls=(),
        management=Management("n0", ("self",)),
    )
    made = firewalls(topology, "a", RANGE, OPERATORS)
    assert max(len(body["tags"]) for body in made.values()) <= 5
    covered = {tag for body in made.values() for tag in body["tags"]}
    assert covered == {f"wavetank:a:{name}" for name in names}


def test_operators_self_without_an_address_is_refused() -> None:
    """Nobody could log in, so it is said before anything is made."""
    with pytest.raises(UsageError, match="--operator-cidr"):
        firewalls(make_topology(), "a", RANGE, ())


def test_named_operators_need_no_address_of_this_machine() -> None:
    """The topology says it all."""
    topology = make_topology(management=Management("web", ("192.0.2.0/24",)))
    made = firewalls(topology, "a", RANGE, ())
    sources = made["wavetank-a--management-bastion"]["inbound_rules"][0]["sources"]
    assert sources == {"addresses": ["192.0.2.0/24"]}


def test_bootstrap_lets_everything_out_and_nothing_in() -> None:
    """First boot fetches; nobody gets in meanwhile."""
    body = bootstrap("a", ("wavetank:a",))
    assert body["inbound_rules"] == []
    assert {rule["protocol"] for rule in body["outbound_rules"]} == {"tcp", "udp", "icmp"}


def test_bootstrap_covers_only_what_is_new() -> None:
    """Droplets that are locked down stay so, where tags can say it."""
    assert bootstrap_tags(make_topology(), "a", ["api"]) == ("wavetank:a:api",)
    assert bootstrap_tags(make_topology(), "a", ["api", "web"]) == ("wavetank:a",)


def test_first_boot_runs_the_topologys_script_and_then_leaves_its_marker() -> None:
    """The marker says that everything is done."""
    script = user_data("#!/bin/sh\necho mine\n")
    assert script.startswith("#!/bin/sh\n")
    assert script.index("docker.io") < script.index("echo mine") < script.index(f"touch {MARKER}")


COMMANDS = {
    "apt-get": 'echo "apt-get $*" >> "$LOG"',
    "apt-cache": 'case " $OFFERED " in *" $2 "*) v=1;; *) v="(none)";; esac; echo "  Candidate: $v"',
    "timeout": '[ -e "$LOG" ] && [ -n "$WORKS" ]',  # docker compose version
    "systemctl": "true",
    "mkdir": "true",
    "touch": 'echo "touched $1" >> "$LOG"',
}


def first_boot(folder: Path, offered: str, *, works: str) -> subprocess.CompletedProcess[str]:
    """Run a first boot where ``offered`` packages can be had; ``works``: they bring ``docker compose``."""
    for name, body in COMMANDS.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    environment = {
        "PATH": f"{folder}:/usr/bin:/bin", "LOG": str(folder / "log"), "OFFERED": offered, "WORKS": works,
    }  # fmt: skip
    return subprocess.run(
        ["sh", "-c", user_data()], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("offered", "installed"),
    [
        ("docker.io docker-compose docker-compose-v2", "docker.io docker-compose-v2"),
        ("docker.io docker-cli docker-compose", "docker.io docker-cli docker-compose"),
    ],
    ids=["ubuntu-24-04", "debian-13"],
)
def test_first_boot_installs_compose_v2_by_the_distributions_name(
    tmp_path: Path, offered: str, installed: str
) -> None:
    """Ubuntu's is docker-compose-v2; Debian's is docker-compose, beside a command line of its own."""
    assert first_boot(tmp_path, offered, works="yes").returncode == 0
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[1].endswith(f"--no-install-recommends {installed}")
    assert lines[-1] == f"touched {MARKER}"


def test_first_boot_without_compose_v2_fails_with_a_remedy(tmp_path: Path) -> None:
    """Debian 12's docker-compose is version 1.29: no marker, and the log says what to do."""
    done = first_boot(tmp_path, "docker.io docker-compose", works="")
    assert done.returncode == 1
    assert "package docker-compose of this image is not Compose v2" in done.stderr
    assert "debian-13-x64" in done.stderr
    assert MARKER not in (tmp_path / "log").read_text()


def test_user_data_that_is_no_script_is_refused() -> None:
    """It names the field."""
    topology = make_topology(
        droplets={"web": droplet("web", user_data="#cloud-config\n"), "api": droplet("api")}
    )
    with pytest.raises(TopologyError, match=r"droplets\.web\.user_data"):
        desired(topology, "a")

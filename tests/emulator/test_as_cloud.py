"""``--target=do`` with the emulator as the cloud: https, ssh through the bastion, and no shortcut.

The command line has a directory of its own and is told an endpoint, a CA, a proxy and a token.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from recorder import Recorder, recording
from serving import Served, start
from small_plan import Shell, shell, write_plan

from harness.target import emulator_process

pytestmark = pytest.mark.docker

KINDS = {
    "vpcs": "vpcs",
    "firewalls": "firewalls",
    "tags": "tags",
    "account/keys": "ssh_keys",
    "droplets": "droplets",
    "databases": "databases",
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvIhWzUJ1KUdEbtj3KyhQRPvyA4HUKbkKmnhbN8b6n2 somebody"


@dataclass
class Cloud:
    """An account in which somebody else has things, and a command line that is told where it is."""

    server: Served
    recorder: Recorder
    wavetank: Shell
    plan: Path
    client: httpx.Client

    def get(self, path: str) -> Any:
        """What the API answers to the test itself."""
        return self.client.get(f"/v2/{path}").raise_for_status().json()

    def everything(self) -> dict[str, set[str]]:
        """Name, tag or id of all there is, by kind."""
        return {
            kind: {
                str(each.get("id") or each["name"]) for each in self.get(f"{kind}?per_page=200")[key] or ()
            }
            for kind, key in KINDS.items()
        }


@pytest.fixture(scope="module")
def account(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Served, httpx.Client, dict[str, Any]]]:
    """The emulator, started by itself; there are things in it that no run of ours made."""
    directory = tmp_path_factory.mktemp("cloud")
    try:
        server = start(directory / "emulator", plane="docker")
        context = ssl.create_default_context(cafile=server.ca_file)
        headers = {"authorization": f"Bearer {server.token}"}
        with httpx.Client(base_url=server.https, verify=context, headers=headers, trust_env=False) as client:
            _foreign(client)
            yield server, client, client.get("/_wavetank/info").json()
        server.process.terminate()
        server.process.wait(30)
    finally:
        emulator_process.stop(directory, destroy=True)


@pytest.fixture
def cloud(account: tuple[Served, httpx.Client, dict[str, Any]], tmp_path: Path) -> Iterator[Cloud]:
    """The account by way of a relay that writes down what is asked."""
    server, client, info = account
    plan = write_plan(tmp_path / "plan")
    with recording(server) as recorder:
        options = (
            "--target=do",
            f"--endpoint={recorder.url}",
            f"--ca-file={server.ca_file}",
            f"--proxy={info['proxy']}",
            f"--operator-cidr={info['operator_ip']}/32",
        )
        with shell(tmp_path / "own", plan, *options, DIGITALOCEAN_TOKEN=server.token) as wavetank:
            made = Cloud(server, recorder, wavetank, plan, client)
            yield made
            if any("wavetank:" in tag for tag in made.everything()["tags"]):
                wavetank("sweep", "--yes", "--older-than=0s")


def test_a_whole_life(cloud: Cloud) -> None:
    """Up, status, ssh, checks, a second up and down: all by the API and ssh, and others' things stay."""
    before = cloud.everything()
    wavetank = cloud.wavetank
    up = wavetank.up("--yes", "--max-cost=1", "-o", "json").end()
    assert up.code == 0, up.err
    run = up.json["run"]

    names = {each["name"] for each in cloud.get("firewalls?per_page=200")["firewalls"]}
    assert f"wavetank-{run}--bootstrap" not in names, "it is locked down"
    assert {f"wavetank-{run}--management-bastion", f"wavetank-{run}--back"} <= names
    status = wavetank("status", "-o", "json")
    assert (status.code, status.json["healthy"]) == (0, True), status.err

    assert "ProxyJump" in (wavetank.state_dir / "latest" / "ssh_config").read_text()
    assert [wavetank("ssh", node, "--", "hostname").out.strip() for node in ("front", "back")] == [
        "front",
        "back",
    ]
    assert "cache is private-" in wavetank.hello(run)
    verify = wavetank("verify", "-k", "not isolation")
    assert verify.code == 0, verify.out + verify.err
    diff = wavetank("diff", "front", "back", "-o", "json")
    assert diff.code == 0, diff.out + diff.err
    assert diff.json["witnesses"] == ["prober"]

    changed = cloud.recorder.lasting_changes()
    again = wavetank.up("--yes", "-o", "json").end()
    assert (again.code, again.json["run"], again.json["changes"]) == (0, run, []), again.err
    assert cloud.recorder.lasting_changes() == changed, (
        "a second up changes nothing, and gives its lease back"
    )
    assert {method for method, _ in cloud.recorder.leases} == {"POST", "DELETE"}
    assert not any("wavetank-lease" in tag for tag in cloud.everything()["tags"]), "all of them ended"

    down = wavetank("down", "--yes")
    assert down.code == 0, down.err
    assert cloud.everything() == before, "others' things, and nothing else"
    assert [path for _, path in cloud.recorder.asked if not path.startswith("/v2/")] == []
    assert not (wavetank.state_dir / "emulator").exists()


def test_a_failure_is_taken_down(cloud: Cloud) -> None:
    """What was begun costs money: it goes, others' things stay, and the exit code is 3."""
    before = cloud.everything()
    dockerfile = cloud.plan.parent / "app" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "RUN exit 7\n")
    done = cloud.wavetank.up("--yes").end()
    assert done.code == 3, done.err
    assert "image 'hello'" in done.err
    assert any(
        path.startswith("/v2/droplets") for method, path in cloud.recorder.changes() if method == "POST"
    )
    assert cloud.everything() == before


def test_nothing_is_made_that_nobody_agreed_to(cloud: Cloud) -> None:
    """The price is by the API's list; without a terminal and --yes the exit code is 4 and nothing is made."""
    price = cloud.wavetank("price", f"--topology={cloud.plan}", "-o", "json").json
    sizes = {each["slug"]: each["price_hourly"] for each in cloud.get("sizes?per_page=200")["sizes"]}
    droplets = [each["hourly"] for each in price["items"] if each["kind"] == "droplet"]
    assert droplets == [pytest.approx(sizes["s-1vcpu-1gb"])] * 2
    done = cloud.wavetank.up().end()
    assert done.code == 4
    assert f"${price['hourly']:.4f} an hour" in done.err
    assert "--yes" in done.err
    assert cloud.recorder.changes() == []


def test_nothing_is_made_that_is_too_dear(cloud: Cloud) -> None:
    """``--max-cost`` holds in spite of --yes."""
    done = cloud.wavetank.up("--yes", "--max-cost=0.001").end()
    assert done.code == 4
    assert "more than --max-cost 0.001" in done.err
    assert cloud.recorder.changes() == []


def test_a_refused_token_changes_nothing(cloud: Cloud) -> None:
    """It is named by where it comes from, and not shown."""
    cloud.wavetank.environment["DIGITALOCEAN_TOKEN"] = "dop_v1_wrong"
    done = cloud.wavetank.up("--yes").end()
    cloud.wavetank.environment["DIGITALOCEAN_TOKEN"] = cloud.server.token
    assert done.code == 4
    assert "DIGITALOCEAN_TOKEN" in done.err
    assert "dop_v1_wrong" not in done.err
    assert cloud.recorder.changes() == []


def test_an_unknown_size_is_refused_before_anything_is_made(cloud: Cloud) -> None:
    """File, field and what there is instead."""
    cloud.plan.write_text(cloud.plan.read_text().replace("s-1vcpu-1gb", "s-3vcpu-9gb", 1))
    done = cloud.wavetank.up("--yes").end()
    assert done.code == 4
    assert "small.yaml" in done.err
    assert "droplets.front.size" in done.err
    assert "'s-3vcpu-9gb'" in done.err
    assert cloud.recorder.changes() == []


def _foreign(client: httpx.Client) -> None:
    """Things that look nearly like ours."""
    for path, body in (
        ("tags", {"name": "wavetank"}),
        ("vpcs", {"name": "wavetank", "region": "fra1"}),
        ("account/keys", {"name": "somebody", "public_key": KEY}),
        ("firewalls", {"name": "walls", "tags": ["wavetank"], "inbound_rules": [SSH]}),
        ("droplets", {"name": "front", "region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}),
    ):
        client.post(f"/v2/{path}", json=body).raise_for_status()


SSH = {"protocol": "tcp", "ports": "22", "sources": {"addresses": ["0.0.0.0/0"]}}

"""What images are, in what droplets differ, and what becomes of an application that depends on it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from harness.core.errors import CheckFailedError, InconclusiveError
from harness.deploy import read_apps
from harness.provision import machine_images
from harness.provision.machine_images import (
    Difference,
    Machine,
    differences,
    image_of,
    inspect,
    promised,
    section,
)
from harness.run.report import SCHEMA_FILE
from harness.topology import load
from harness.topology.model import Topology
from harness.verify.cgroups import Need, by_answers, by_images, is_old_image, judge, needs_v1

EMULATED = Machine("Debian GNU/Linux 13 (trixie)", "6.18.44-x", "v1", "257", "26.1.5", "2.26.1")
RELEASED = {"version": "1.13.1", "maintainer": "Herman Zvonimir Došilović <hermanz.dosilovic@gmail.com>"}
REFERENCE = {"version": "1.13.1", "maintainer": "Wavetank's reference"}
V1 = "#!/bin/sh\necho 'GRUB_CMDLINE_LINUX=systemd.unified_cgroup_hierarchy=0' > /etc/default/grub.d/c.cfg\n"
FILE = """\
schema: wavetank/topology/v1
name: one
region: fra1
defaults: {size: s-1vcpu-1gb, image: ubuntu-24-04-x64}
droplets: {judge: {}, other: {}}
management: {bastion: judge, operators: [self]}
firewalls:
  all:
    droplets: [judge, other]
    inbound: [{protocol: tcp, ports: "2358", from: [other]}]
    outbound: [{protocol: tcp, ports: "2358", to: [judge]}]
intent: [{from: other, to: judge, tcp: [2358]}]
app: app
services: {judge: {droplets: [judge], compose: docker-compose.yml}}
checks: {judge0: {node: judge, port: 2358, source: other, workers: [judge]}}
"""


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    """Judge0's own image on a droplet of today's Ubuntu."""
    (tmp_path / "app").mkdir()
    compose = tmp_path / "app/docker-compose.yml"
    compose.write_text("services: {server: {image: 'judge0/judge0:1.13.1'}}\n")
    (tmp_path / "one.yaml").write_text(FILE)
    return load(tmp_path / "one.yaml")


def on(topology: Topology, image: str, user_data: str = "") -> Topology:
    """The same with another image."""
    droplets = {
        name: replace(each, image=image, user_data=user_data) for name, each in topology.droplets.items()
    }
    return replace(topology, droplets=droplets)


@pytest.mark.parametrize(
    ("image", "cgroup", "kernel"),
    [
        ("ubuntu-22-04-x64", "v2", "5.15"),
        ("ubuntu-24-04-x64", "v2", "6.8"),
        ("ubuntu-25-10-x64", "v2", "6.17"),
        ("ubuntu-26-04-x64", "v2", "7.0"),
        ("debian-12-x64", "v2", "6.1"),
        ("debian-13-x64", "v2", "6.12"),
        ("docker-20-04", "v2", "5.15"),
        ("my-own-snapshot", "", ""),
        ("155133621", "", ""),
    ],
)
def test_images_are_known_by_their_slug(image: str, cgroup: str, kernel: str) -> None:
    """One that is not in the table is unknown, not assumed."""
    assert (image_of(image).cgroup, image_of(image).kernel) == (cgroup, kernel)


def test_what_differs_is_told_with_both_sides() -> None:
    """What is not known of one side is no difference; kernels are alike by two numbers."""
    image = Machine("Debian GNU/Linux 13", "6.18", "v2", "257", "none", "")
    assert differences(image, EMULATED) == (
        Difference("cgroup", "v2", "v1"),
        Difference("engine", "none", "26.1.5"),
    )
    assert differences(machine_images.UNKNOWN, EMULATED) == ()


def test_the_section_groups_droplets_of_an_image(topology: Topology) -> None:
    """And it is as the schema has it."""
    told = section(topology, dict.fromkeys(topology.droplets, EMULATED))
    assert [(each["image"], each["droplets"]) for each in told] == [("ubuntu-24-04-x64", ["judge", "other"])]
    assert {"what": "cgroup", "image": "v2", "droplet": "v1"} in told[0]["differences"]
    schema = json.loads(SCHEMA_FILE.read_text())
    jsonschema.validate(told, {**schema["properties"]["machines"], "$defs": schema["$defs"]})


def test_a_machine_is_asked_what_it_is() -> None:
    """The script runs, here as on a droplet."""

    class Here:
        def run(self, _node: str, script: str, *, deadline: float) -> str:
            return subprocess.run(
                ["sh", "-c", script], capture_output=True, text=True, timeout=deadline, check=False
            ).stdout

    found = inspect(Here(), "here")  # type: ignore[arg-type]
    assert found.kernel
    assert found.cgroup in ("v1", "v2")
    assert found.distribution


@pytest.mark.parametrize(
    ("image", "user_data", "cgroup"),
    [
        ("ubuntu-24-04-x64", "", "v2"),
        ("ubuntu-24-04-x64", V1, "v1"),
        ("ubuntu-24-04-x64", V1.replace("echo", "# echo"), "v2"),
        ("ubuntu-24-04-x64", V1.replace("=0", "=1"), "v2"),
        ("debian-13-x64", V1, "v2"),
        ("debian-13-x64", V1.replace("=0", "=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"), "v1"),
        ("ubuntu-26-04-x64", V1.replace("=0", "=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"), "v2"),
    ],
)
def test_what_runs_on_first_boot_counts(topology: Topology, image: str, user_data: str, cgroup: str) -> None:
    """Kernel parameters make the old cgroups, where the image's systemd still has them."""
    assert promised(on(topology, image, user_data).droplets["judge"]).cgroup == cgroup


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("judge0/judge0:1.13.1", True),
        ("judge0/judge0:1.13.0-extra", True),
        ("registry.invalid:5000/judge0/judge0:1.12.0", True),
        ("judge0/judge0", True),
        ("judge0/judge0:latest", True),
        ("judge0/judge0:1.13.1@sha256:abc", True),
        ("judge0/judge0:2.0.0", False),
        ("judge0/compilers:1.4.0", False),
        ("mine/judge0:1.13.1", False),
        ("nginx", False),
    ],
)
def test_old_images_are_known_by_name(name: str, old: bool) -> None:
    """Judge0's own, up to the newest release."""
    assert is_old_image(name) is old


@pytest.mark.parametrize(
    ("about", "isolate", "needed"),
    [
        (RELEASED, "", True),
        (RELEASED, "The process isolator 1.8.1", True),
        (RELEASED, "The process isolator 2.0", False),
        (REFERENCE, "", False),
        (REFERENCE, "The process isolator 1.8.1", False),
        ({"version": "1.14.0"}, "", False),
        ("nothing", "", False),
    ],
)
def test_a_running_judge0_tells(topology: Topology, about: object, isolate: str, needed: bool) -> None:
    """The reference runs with either; its version says nothing."""
    assert needs_v1(about, isolate) is needed
    nodes = [need.nodes for need in by_answers(topology, about, isolate)]
    assert nodes == ([("judge",)] if needed else [])


def test_images_and_dockerfiles_tell(topology: Topology, tmp_path: Path) -> None:
    """``image:`` and what stands after FROM."""
    (need,) = by_images(topology, read_apps(topology))
    assert need.nodes == ("judge",)
    assert "judge0/judge0:1.13.1" in need.why
    (tmp_path / "app/docker-compose.yml").write_text("services: {server: {build: .}}\n")
    (tmp_path / "app/Dockerfile").write_text("FROM judge0/judge0:1.13.1\n")
    assert by_images(topology, read_apps(topology))[0].nodes == ("judge",)
    (tmp_path / "app/Dockerfile").write_text("FROM debian:12\n")
    assert by_images(topology, read_apps(topology)) == ()


NEED = (Need(("judge",), "service judge is made from judge0/judge0:1.13.1"),)


def outcome(topology: Topology, cgroup: str, *, emulated: bool) -> str:
    """What the check comes to, with droplets that have these cgroups."""
    try:
        judge(NEED, topology, {"judge": replace(EMULATED, cgroup=cgroup)}, emulated=emulated)
    except (CheckFailedError, InconclusiveError) as error:
        return type(error).__name__
    return "passed"


@pytest.mark.parametrize(
    ("image", "user_data", "cgroup", "expected"),
    [
        ("ubuntu-24-04-x64", "", "v1", "InconclusiveError"),
        ("ubuntu-24-04-x64", "", "v2", "CheckFailedError"),
        ("ubuntu-24-04-x64", V1, "v1", "passed"),
        ("ubuntu-24-04-x64", V1, "v2", "InconclusiveError"),
        ("ubuntu-26-04-x64", V1, "v1", "InconclusiveError"),
        ("my-own-snapshot", "", "v1", "InconclusiveError"),
        ("my-own-snapshot", "", "v2", "InconclusiveError"),
        ("ubuntu-24-04-x64", "", "", "InconclusiveError"),
    ],
)
def test_an_emulated_judge0_is_no_proof_where_the_image_differs(
    topology: Topology, image: str, user_data: str, cgroup: str, expected: str
) -> None:
    """Green only where droplet and image both have what is needed; red only where neither has."""
    assert outcome(on(topology, image, user_data), cgroup, emulated=True) == expected


@pytest.mark.parametrize(
    ("cgroup", "expected"), [("v1", "passed"), ("v2", "CheckFailedError"), ("", "InconclusiveError")]
)
def test_on_a_cloud_the_droplet_itself_counts(topology: Topology, cgroup: str, expected: str) -> None:
    """Whatever the image is said to be."""
    assert outcome(on(topology, "ubuntu-24-04-x64"), cgroup, emulated=False) == expected


@pytest.mark.parametrize(
    ("image", "remedy"),
    [
        ("ubuntu-24-04-x64", "/etc/default/grub.d/"),
        ("debian-13-x64", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"),
        ("ubuntu-26-04-x64", "take ubuntu-24-04-x64"),
    ],
)
def test_the_remedy_fits_the_image(topology: Topology, image: str, remedy: str) -> None:
    """Kernel parameters where they help, another image where nothing does."""
    with pytest.raises(InconclusiveError, match=remedy):
        judge(NEED, on(topology, image), {"judge": EMULATED}, emulated=True)

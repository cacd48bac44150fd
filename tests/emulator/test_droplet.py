"""What a droplet is from the inside: metadata, user_data, an engine that works."""

from __future__ import annotations

import json

import pytest
from tank import Tank, droplet

from harness.core.wait import NotYet, wait_for

pytestmark = pytest.mark.docker

# A root file system of a shell and what it takes to look around, made from the droplet's own files.
SELF_IMAGE = """
set -e
programs=$(command -v sh nc cat grep)
check='HEALTHCHECK --interval=1s CMD ["/usr/bin/grep", "open files", "/proc/self/limits"]'
libraries=$(ldd $programs | grep -o '/lib[^ ]*' | sort -u)
tar -chf - $programs $libraries | docker import -c "$check" - self >/dev/null
"""
LIMITS = ("--oom-score-adj=-500", "--ulimit=memlock=-1", "--ulimit=nofile=9999999:9999999")
CONFIG = """#cloud-config
write_files:
  - {path: /root/written, content: hello, permissions: '0600'}
runcmd:
  - [sh, -c, 'cat /root/written > /root/copied']
frobnicate: true
"""


def settled(tank: Tank, number: int) -> str:
    """Wait until systemd has started everything; its word for the outcome."""

    def probe() -> str:
        state = tank.run(number, "systemctl", "is-system-running")[1].strip()
        if state in ("starting", "initializing", "offline"):
            raise NotYet(state)
        return state

    return wait_for(f"droplet {number} to settle", probe, deadline=60)


def test_droplet_boots_clean(tank: Tank) -> None:
    """systemd has no failed unit, and the engine inside answers."""
    assert settled(tank, 2) == "running", tank.run(2, "systemctl", "--failed")[1]
    code, output = tank.run(2, "docker", "info", "--format", "{{.Driver}} {{.DefaultRuntime}}")
    assert (code, output.strip()) == (0, "overlay2 wavetank")


def test_droplets_are_different_machines(tank: Tank) -> None:
    """Host names, machine ids and host keys are each droplet's own."""
    for file in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"):
        assert tank.run(1, "cat", file) != tank.run(2, "cat", file)
    assert tank.run(2, "hostname") == (0, "node-2\n")


def test_user_data_ran_once(tank: Tank) -> None:
    """The script ran as root, and `cloud-init status --wait` says done."""
    assert tank.run(1, "cloud-init", "status", "--wait") == (0, "status: done\n")
    assert tank.run(1, "cat", "/root/ran") == (0, "node-1\n")


def test_cloud_config_subset_runs_and_names_what_it_ignores(tank: Tank) -> None:
    """write_files and runcmd work; a key that is not implemented is reported, not swallowed."""
    spec = droplet(20, user_data=CONFIG)
    tank.add(spec)
    try:
        code, output = tank.run(20, "cloud-init", "status", "--wait", "--long")
        assert code == 1
        assert "frobnicate" in output
        assert tank.run(20, "cat", "/root/copied") == (0, "hello")
    finally:
        del tank.nodes[20]
        tank.plane.destroy_droplet(20)


@pytest.mark.parametrize("number", [1, 4])
def test_metadata_is_each_droplets_own(tank: Tank, number: int) -> None:
    """The service tells droplets apart by address, private-only ones too, whatever their firewall says."""
    tank.rules(**{f"n{number}": ((), ())})
    code, output = tank.run(number, "curl", "-sf", "http://169.254.169.254/metadata/v1.json")
    assert code == 0
    assert json.loads(output)["droplet_id"] == number
    leaf = "http://169.254.169.254/metadata/v1/interfaces/private/0/ipv4/address"
    assert tank.run(number, "curl", "-sf", leaf)[1] == f"10.1.0.{9 + number}"


def test_privileged_container_runs_and_reaches_other_nodes(tank: Tank) -> None:
    """The engine inside gives `privileged` what there is, and its containers talk through the droplet."""
    settled(tank, 1)
    code, output = tank.run(1, "bash", "-c", SELF_IMAGE)
    assert code == 0, output
    code, output = tank.run(
        1, "docker", "run", "--rm", "--privileged", "self", "/usr/bin/grep", "CapBnd", "/proc/self/status"
    )
    if code:
        pytest.fail(output)
    code, output = tank.run(1, "docker", "run", "--rm", "self", "/usr/bin/nc", "-w", "2", "10.1.0.11", "22")
    assert output.startswith("SSH-2.0"), output


def test_privileged_container_with_limits_starts_and_can_be_entered(tank: Tank) -> None:
    """Limits and a score that this machine does not give are lowered; for `exec` and health checks, too."""
    settled(tank, 1)
    code, output = tank.run(1, "bash", "-c", SELF_IMAGE)
    assert code == 0, output
    wanted = ("docker", "run", "--detach", "--rm", "--name", "strong", "--privileged", *LIMITS)
    code, output = tank.run(1, *wanted, "self", "/usr/bin/nc", "-lk", "9")
    assert code == 0, output
    try:
        told = tank.run(1, "docker", "exec", "strong", "/usr/bin/grep", "open files", "/proc/self/limits")
        assert told[0] == 0, told[1]
        told = tank.run(
            1, "docker", "exec", "--privileged", "strong", "/usr/bin/grep", "CapEff", "/proc/self/status"
        )
        assert told[0] == 0, told[1]
        assert wait_for("a health check", lambda: health(tank, "strong"), deadline=60) == "healthy"
    finally:
        tank.run(1, "docker", "rm", "--force", "strong")


def health(tank: Tank, container: str) -> str:
    """What its first health check found; the check's own output is in the error while there is none."""
    form = "{{.State.Health.Status}} {{json .State.Health.Log}}"
    output = tank.run(1, "docker", "inspect", "--format", form, container)[1]
    status, log = output.split(" ", 1)
    if status == "starting":
        raise NotYet(log)
    return status


def test_sshd_answers_whoever_does_not_log_in(tank: Tank) -> None:
    """A scan is no reason to shut out the machine that it came from, such as the bastion."""
    connect = (
        "import socket\nfor _ in range(60): print(socket.create_connection(('10.1.0.10', 22), 9).recv(8))"
    )
    code, output = tank.run(2, "python3", "-Ic", connect)
    assert code == 0, output
    assert set(output.splitlines()) == {"b'SSH-2.0-'"}


def test_rename_changes_host_name_and_metadata(tank: Tank) -> None:
    """A renamed droplet knows its new name, from itself and from the metadata service."""
    from dataclasses import replace

    renamed = replace(tank.nodes[2], name="other", metadata={"hostname": "other"})
    tank.plane.rename_droplet(renamed)
    try:
        assert tank.run(2, "hostname") == (0, "other\n")
        assert tank.run(2, "curl", "-sf", "http://169.254.169.254/metadata/v1/hostname") == (0, "other")
    finally:
        tank.plane.rename_droplet(tank.nodes[2])


def test_console_has_the_system_log(tank: Tank) -> None:
    """The console shows what a droplet logged while it booted."""
    assert "sshd" in tank.plane.console("droplet:1")

"""A converted stack on a real engine: what is in its containers, and what is not to be seen from outside."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tank import Tank, droplet

from emulator.docker.droplet import inside
from emulator.docker.images.build import ensure
from harness.core.wait import NotYet, wait_for
from harness.deploy.engine import Image, local_images, programs
from harness.stack import Source, Stack, convert, secret_names
from harness.topology.model import Droplet, Management, Overlay, StackService, Swarm, Topology

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

BASE = "wavetank/base:latest"
PASSWORD = 'it\'s $ecret "2" \\ {{.X}}'
SYS_ADMIN = 21
SOON = 120.0

COMPOSE = """\
# What a user has on one host today: asks for privileges, and mounts the directory beside it.
version: "3.7"
services:
  probe:
    image: wavetank/base:latest
    container_name: the-probe
    privileged: true
    restart: unless-stopped
    command: ["sh", "-c", "echo \\"$$GREETING\\"; exec tail -f /dev/null"]
    env_file: .env
    environment:
      GREETING: "${WHO:-nobody} {{.Task.Name}} $$5"
    shm_size: 32m
    tmpfs: /scratch:size=2m
    init: true
    ulimits: {nofile: {soft: 1000, hard: 2000}}
    sysctls: [net.core.somaxconn=77]
    stop_signal: SIGINT
    volumes:
      - ./:/run/app:ro
      - ./run.sh:/opt/run.sh:ro
      - /sys/fs/cgroup:/host-cgroup:ro
      - data:/data
    healthcheck:
      test: 'test -n "$$DB_PASSWORD" && test -e /data/ready'
      interval: 30s
      retries: 40
    networks: [somewhere]
networks:
  somewhere:
volumes:
  data:
"""


@dataclass(frozen=True)
class Site:
    """A swarm of one droplet with the stack deployed."""

    tank: Tank
    stack: Stack

    def run(self, *argv: str) -> str:
        """Run a program in the droplet."""
        code, output = self.tank.run(1, *argv)
        assert code == 0, output
        return output

    def give(self, content: bytes, *argv: str) -> None:
        """Run a program in the droplet, with something on its standard input."""
        done = subprocess.run(
            ["docker", "exec", "-i", self.tank.container(1), *inside(argv)],
            input=content, capture_output=True, check=False, timeout=SOON,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()

    def deploy(self) -> None:
        """Bring the stack file to the engine, as ``up`` does."""
        self.give(self.stack.text.encode(), *DEPLOY)

    def container(self) -> str:
        """The task's container, once there is one."""
        found: list[str] = []

        def probe() -> None:
            found[:] = self.run("docker", "ps", "-q", "--no-trunc", "--filter", "name=app_probe").split()
            if len(found) != 1:
                raise NotYet(self.run("docker", "service", "ps", "--no-trunc", "app_probe"))

        wait_for("the task's container", probe, deadline=SOON)
        return found[0]

    def inside(self, *argv: str) -> str:
        """Run a program in the task's container, as ``docker exec`` does."""
        return self.run("docker", "exec", self.container(), *argv)

    def inspected(self) -> Any:
        """What the engine tells of the container."""
        return json.loads(self.run("docker", "inspect", self.container()))[0]

    def tasks(self) -> list[str]:
        """States of the service's tasks."""
        return self.run("docker", "service", "ps", "--format", "{{.CurrentState}}", "app_probe").splitlines()


DEPLOY = ("docker", "stack", "deploy", "--compose-file", "-", "--resolve-image", "never", "app")


def converted(directory: Path) -> Stack:
    """The application's compose file as a stack of a swarm of one node."""
    (directory / "docker-compose.yml").write_text(COMPOSE)
    script = directory / "run.sh"
    script.write_text("#!/bin/sh\necho it runs\n")
    script.chmod(0o755)
    service = StackService(
        "probe", ("only",), directory / "docker-compose.yml", (8080,), {}, (), cap_add=("SYS_ADMIN",)
    )
    swarm = Swarm(("only",), "app", Overlay("app-net"), (service,))
    only = Droplet("only", "s-1vcpu-1gb", "ubuntu-24-04-x64", "only", True, "")
    topology = Topology(
        "one", Path("one.yaml"), "fra1", None, {"only": only}, {}, (), (), (), Management("only", ("self",)),
        directory, swarm=swarm,
    )  # fmt: skip
    environment = {"WHO": "me", "DB_PASSWORD": PASSWORD, "EMPTY": ""}
    image = local_images([BASE])[BASE]
    entrypoint, command = programs([image])[BASE]
    source = Source(
        service=service,
        text=COMPOSE,
        environment=environment,
        secret=secret_names(environment, [PASSWORD]),
        files={"app.conf": "listen 80;\n", "conf.d/more.conf": "more\n"},
        images={"probe": Image("probe:1", image.id)},
        programs={"probe": entrypoint + command},
        entrypoints={"probe": entrypoint},
    )
    return convert(topology, [source], ipvs=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A droplet with a swarm of its own, the image, what the stack needs, and the stack."""
    ensure(["base", "droplet", "fabric"])
    tank = Tank.new(tmp_path_factory.mktemp("stack-tank"))
    try:
        spec = droplet(1)
        tank.add(spec)
        made = Site(tank, converted(tmp_path_factory.mktemp("stack-app")))
        _await_engine(made)
        _load(made)
        made.run("docker", "swarm", "init", "--advertise-addr", spec.private.ip)
        made.run("docker", "node", "update", "--label-add", "probe=true", "node-1")
        made.run("docker", "network", "create", "--driver", "overlay", "--attachable", "app-net")
        for kind, objects in (("config", made.stack.configs), ("secret", made.stack.secrets)):
            for name, content in objects.items():
                made.give(content, "docker", kind, "create", name, "-")
        made.deploy()
        yield made
    finally:
        tank.destroy()


def _await_engine(site: Site) -> None:
    def probe() -> None:
        code, output = site.tank.run(1, "docker", "version")
        if code:
            raise NotYet(output)

    wait_for("the droplet's engine", probe, deadline=SOON)


def _load(site: Site) -> None:
    """The image, from this machine's engine to the droplet's."""
    argv = ["docker", "exec", "-i", site.tank.container(1), *inside(["docker", "load"])]
    with subprocess.Popen(["docker", "save", BASE], stdout=subprocess.PIPE) as saved:
        subprocess.run(argv, stdin=saved.stdout, stdout=subprocess.DEVNULL, check=True, timeout=SOON)


def test_the_program_finds_its_secrets_in_its_environment(site: Site) -> None:
    """With every quote, dollar sign and brace as it was; and the wrapper has gone."""
    script = 'for pid in /proc/[0-9]*; do [ "$(cat $pid/comm)" = tail ] && cat $pid/environ; done; true'
    environment = site.inside("sh", "-c", script).split("\0")
    assert f"DB_PASSWORD={PASSWORD}" in environment
    assert "GREETING=me {{.Task.Name}} $5" in environment
    assert "EMPTY=" in environment


def test_nobody_else_sees_them(site: Site) -> None:
    """Neither in the container's settings nor in the service's, on the node or in the swarm."""
    outside = json.dumps(site.inspected()) + site.run("docker", "service", "inspect", "app_probe")
    outside += site.run("docker", "inspect", *site.run("docker", "secret", "ls", "-q").split())
    assert "ecret" in outside  # that there is one is no secret
    assert "$ecret" not in outside
    assert "DB_PASSWORD" not in outside.replace("$DB_PASSWORD", "")  # the health check may name it


def test_files_are_where_they_would_have_been(site: Site) -> None:
    """The rendered ones in the directory, the single one with its right to be executed."""
    assert site.inside("cat", "/run/app/app.conf") == "listen 80;\n"
    assert site.inside("cat", "/run/app/conf.d/more.conf") == "more\n"
    assert site.inside("/opt/run.sh") == "it runs\n"


def test_it_has_the_capability_and_nothing_more(site: Site) -> None:
    """SYS_ADMIN stands in for privileged; another that Docker gives nobody is not there."""
    status = site.inside("cat", "/proc/1/status")
    (effective,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    assert effective >> SYS_ADMIN & 1
    assert not effective >> 12 & 1  # NET_ADMIN
    assert site.inspected()["HostConfig"]["Privileged"] is False


def test_memory_limits_and_settings_are_as_asked_for(site: Site) -> None:
    """What compose says in keys that stacks ignore is there all the same, and the rest stayed."""
    assert site.inside("df", "--output=size", "-k", "/dev/shm").split()[1] == str(32 << 10)
    assert site.inside("df", "--output=size", "-k", "/scratch").split()[1] == str(2 << 10)
    assert site.inside("cat", "/proc/sys/net/core/somaxconn").strip() == "77"
    assert re.search(r"Max open files +1000 +2000", site.inside("cat", "/proc/1/limits"))
    assert "init" in site.inside("cat", "/proc/1/comm")
    assert site.inspected()["Config"]["StopSignal"] == "SIGINT"
    assert site.inside("ls", "/host-cgroup").strip()


def test_it_counts_as_running_soon_after_it_is_healthy(site: Site) -> None:
    """Not before; and Docker looks every 3 s, not after half a minute."""
    site.container()
    assert not any(state.startswith("Running") for state in site.tasks())
    site.inside("touch", "/data/ready")

    def probe() -> None:
        if not any(state.startswith("Running") for state in site.tasks()):
            raise NotYet(str(site.tasks()))

    wait_for("the task to be running", probe, deadline=SOON)
    assert site.inspected()["Config"]["Healthcheck"]["Interval"] == 3_000_000_000
    assert site.inside("getent", "hosts", "the-probe").split()[0] == site.inside("hostname", "-i").strip()


def test_what_is_deployed_again_stays_as_it_is(site: Site) -> None:
    """The same text makes the same service: no task is replaced."""
    before = site.container()
    site.deploy()
    assert site.container() == before
    assert len(site.tasks()) == 1

"""A small plan with an application of one file, and the real command line over it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors
import small_image

from harness.core.wait import NotYet, wait_for

WAVETANK = Path(sys.executable).with_name("wavetank")
SOON, LONG = 60.0, 150.0

PLAN = """\
schema: wavetank/topology/v1
name: small
region: fra1
defaults: {size: s-1vcpu-1gb, image: ubuntu-24-04-x64}
droplets: {front: {}, back: {}}
databases:
  cache: {engine: valkey, version: "8", size: db-s-1vcpu-1gb, trusted_sources: [back]}
management: {bastion: front, operators: [self]}
firewalls:
  front:
    droplets: [front]
    inbound: []
    outbound: [{protocol: tcp, ports: "8080", to: [back]}]
  back:
    droplets: [back]
    inbound: [{protocol: tcp, ports: "8080", from: [front]}]
    outbound:
      - {protocol: tcp, ports: "25061", to: [vpc]}
      - {protocol: udp, ports: "53", to: [internet]}
      - {protocol: tcp, ports: "53", to: [internet]}
intent:
  - {from: front, to: back, tcp: [8080]}
  - {from: back, to: cache, tcp: [25061]}
  - {from: back, to: internet, udp: [53], tcp: [53]}
app: app
services:
  hello:
    droplets: [back]
    compose: docker-compose.yml
    ports: [8080]
    health: http://127.0.0.1:8080/
    environment: {CACHE_HOST: "{{ databases.cache.private.host }}"}
"""
COMPOSE = """\
services:
  hello:
    build: .
    env_file: .env
    ports: ["8080:8080"]
    networks: [inner]
networks:
  inner:
    external: true
"""
DOCKERFILE = f"""\
{small_image.DOCKERFILE}
COPY serve.pl /serve.pl
CMD ["perl", "/serve.pl"]
"""
# The image has perl and no more; what it answers proves that .env arrived.
SERVER = r"""
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die;
while (my $client = $server->accept) {
    while (<$client>) { last if /^\r?\n$/ }
    my $body = "cache is $ENV{CACHE_HOST}\n";
    print $client "HTTP/1.0 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    close $client;
}
"""


def write_plan(directory: Path) -> Path:
    """The topology's file, with its application beside it."""
    app = directory / "app"
    app.mkdir(parents=True)
    (app / "docker-compose.yml").write_text(COMPOSE)
    (app / "Dockerfile").write_text(DOCKERFILE)
    (app / "serve.pl").write_text(SERVER)
    plan = directory / "small.yaml"
    plan.write_text(PLAN)
    return plan


@dataclass(frozen=True)
class Done:
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Begun:
    """A command line that runs, in a session of its own as in a terminal of its own."""

    process: subprocess.Popen[str]

    def interrupt(self) -> None:
        """What ctrl-C does: SIGINT to all of the terminal's foreground processes."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self, seconds: float = LONG) -> Done:
        out, err = self.process.communicate(timeout=seconds)
        return Done(self.process.returncode, out, err)


@dataclass
class Shell:
    """The command line with one state directory, and what the engine has of its emulator."""

    directory: Path
    plan: Path
    environment: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    @property
    def state_dir(self) -> Path:
        return self.directory / "state"

    def begin(self, command: str, *arguments: object) -> Begun:
        argv = [str(WAVETANK), *command.split(), f"--state-dir={self.state_dir}", *self.options]
        process = subprocess.Popen(
            [*argv, *map(str, arguments)],
            env={**_clean(), **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return Begun(process)

    def __call__(self, command: str, *arguments: object) -> Done:
        return self.begin(command, *arguments).end()

    def up(self, *arguments: object) -> Begun:
        return self.begin("up", f"--topology={self.plan}", *arguments)

    @property
    def emulator_pid(self) -> int:
        """The process of this directory's emulator."""
        told = json.loads((self.state_dir / "emulator" / "endpoint.json").read_text())
        return int(told["pid"])

    def left(self, kind: str = "") -> list[str]:
        """Containers (of a kind) and, where no kind is asked for, volumes of this directory's emulator."""
        with closing(docker.from_env()) as engine:
            return self._left(engine, kind)

    def _left(self, engine: docker.DockerClient, kind: str = "") -> list[str]:
        labels = [f"wavetank.state={self.state_dir / 'emulator'}"]
        mine: dict[str, Any] = {"label": labels + ([f"wavetank.kind={kind}"] if kind else [])}
        found = [each["Names"][0] for each in engine.api.containers(all=True, filters=mine)]
        return found + ([] if kind else [each.name for each in engine.volumes.list(filters=mine)])

    def await_droplet(self, begun: Begun) -> None:
        """Until the engine has the first droplet that ``begun`` makes: it is in the middle of it."""
        with closing(docker.from_env()) as engine:
            self._await(begun, "the first droplet", lambda: bool(self._left(engine, "droplet")))

    def await_fabric(self, begun: Begun) -> None:
        """Until the engine has the network of the emulator that ``begun`` starts: it does not answer yet."""
        with closing(docker.from_env()) as engine:
            self._await(begun, "the fabric", lambda: bool(self._left(engine, "fabric")))

    def await_deploy(self, begun: Begun) -> None:
        """Until ``begun`` is about to log in to its nodes."""
        self._await(begun, "ssh", lambda: any(self.state_dir.glob("runs/*/ssh_config")))

    def _await(self, begun: Begun, awaited: str, seen: Callable[[], bool]) -> None:
        def probe() -> None:
            if begun.process.poll() is not None:
                raise AssertionError(begun.end().err)
            if not seen():
                raise NotYet("not yet")

        wait_for(awaited, probe, deadline=SOON, max_pause=0.05)

    def await_report(self, begun: Begun) -> None:
        """Until ``begun`` has said why it fails; next it takes down what it made."""

        def probe() -> None:
            if begun.process.poll() is None and not (self.state_dir / "latest" / "report.json").exists():
                raise NotYet("no report")

        wait_for("the report", probe, deadline=SOON, max_pause=0.05)

    def kill_droplets_until_it_ends(self, begun: Begun) -> None:
        """Kill whatever droplet runs, as a host without memory does, for as long as ``begun`` lives."""
        labels = [f"wavetank.state={self.state_dir / 'emulator'}", "wavetank.kind=droplet"]
        with closing(docker.from_env()) as engine:

            def probe() -> None:
                for each in engine.containers.list(filters={"label": labels}, ignore_removed=True):
                    with suppress(docker.errors.APIError):  # gone meanwhile
                        each.kill()
                if begun.process.poll() is None:
                    raise NotYet("it runs")

            wait_for("the command to give up", probe, deadline=LONG, max_pause=0.1)

    def await_nothing_left(self) -> None:
        """Until nothing of this directory's emulator is there."""
        with closing(docker.from_env()) as engine:

            def probe() -> None:
                if left := self._left(engine):
                    raise NotYet(", ".join(left))

            wait_for("everything to be gone", probe, deadline=LONG, max_pause=0.5)

    def hello(self, run: str) -> str:
        """What the application on ``back`` of ``run`` answers to ``front``."""
        shown = self("status", "--run", run, "-o", "json").json
        (back,) = (each for each in shown["droplets"] if each["name"] == "back")
        address = f"/dev/tcp/{back['addresses']['private']}/8080"
        script = f"exec 3<>{address}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
        asked = self("exec", "--run", run, "front", "--", "bash", "-c", script)
        assert asked.code == 0, asked.out + asked.err
        return asked.out

    def clean(self) -> None:
        """Remove the emulator with all it made, if a test has left it."""
        from harness.target import emulator_process

        emulator_process.stop(self.state_dir, destroy=True)


@contextmanager
def shell(directory: Path, plan: Path, *options: str, **environment: str) -> Iterator[Shell]:
    """A command line for the length of a block; whatever it leaves is removed."""
    made = Shell(directory, plan, environment, options)
    try:
        yield made
    finally:
        made.clean()


def _clean() -> dict[str, str]:
    """The environment without what would lead a command line elsewhere."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WAVETANK_", "DIGITALOCEAN_"))
    }

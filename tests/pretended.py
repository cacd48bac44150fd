"""A deployment without machines: the memory plane as if it were the cloud, and pretended tools.

``ssh`` and ``docker`` are scripts that take their time and answer what a healthy node would, and a SOCKS
proxy here answers as every public address. What the command line does with them is the real thing.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from serving import Served, served

from harness.core.names import run_of_tag

# Nobody's first boot is over at once, `true` is refused now and then as by a node that boots, and what would
# run for real (a script for Python) hears and says nothing. Chance is the kernel's: process numbers that grow
# by two with each try are even for ever.
SSH = r"""#!/bin/sh
for word; do [ "$word" = -O ] && exit 0; done
for word; do script=$word; done
chance=$(od -An -N2 -tu2 /dev/urandom)
sleep "0.$((chance % 10))"
case $script in
    true) if [ $((chance / 10 % 3)) = 0 ]; then echo 'Connection refused' >&2; exit 255; fi ;;
    *python3*) cat > /dev/null; sleep 1000 ;;
    *boot-finished*)
        if [ $((chance / 10 % 2)) = 0 ]; then echo 'first boot is not done'; exit 75; fi
        echo 29.0.0
        ;;
    *--no-trunc*--format*) printf -- '---\n/dev/vda 99999999 1 99999998 1%% /\n---\n---\n' ;;
    *'docker load'* | *'tar -xpf'*) cat > /dev/null ;;
    *.deployed\ 2*) printf -- '---\n---\n' ;;
    *com.docker.compose.project*) printf 'running|Up 3 seconds (healthy)|hello-1\n---\nanswered\n' ;;
esac
"""
DOCKER = r"""#!/bin/sh
sleep "0.$(($(od -An -N1 -tu1 /dev/urandom) % 5))"
case "$1 $2" in
    'image inspect')
        form=$4
        shift 4
        for reference; do
            case $form in
                *Size*) echo 'sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae 1000' ;;
                *) echo 'null|["true"]' ;;
            esac
        done
        ;;
    save*) echo an archive; sleep 1 ;;
esac
"""
PLAN = """\
schema: wavetank/topology/v1
name: pretended
region: fra1
defaults: {size: s-1vcpu-1gb, image: ubuntu-24-04-x64}
droplets: {front: {}, back: {}, other: {}}
databases:
  cache: {engine: valkey, version: "8", size: db-s-1vcpu-1gb, trusted_sources: [back, other]}
management: {bastion: front, operators: [self]}
firewalls:
  front:
    droplets: [front]
    inbound: [{protocol: tcp, ports: "80", from: [internet]}]
    outbound: [{protocol: tcp, ports: "8080", to: [back, other]}]
  back:
    droplets: [back, other]
    inbound: [{protocol: tcp, ports: "8080", from: [front]}]
    outbound: [{protocol: tcp, ports: "25061", to: [vpc]}]
intent:
  - {from: internet, to: front, tcp: [80]}
  - {from: front, to: back, tcp: [8080]}
  - {from: front, to: other, tcp: [8080]}
  - {from: back, to: cache, tcp: [25061]}
  - {from: other, to: cache, tcp: [25061]}
app: app
services:
  hello:
    droplets: [back, other]
    compose: docker-compose.yml
    ports: [8080]
    health: http://127.0.0.1:8080/
checks:
  front_door:
    node: front
    path: /run
    request: {language: language, source: source, stdin: stdin}
    reply: {token: token, status: status, stdout: stdout}
"""
COMPOSE = 'services: {hello: {image: "hello:1", ports: ["8080:8080"]}}\n'


@dataclass(frozen=True)
class Stage:
    """Where a command line plays: its plan, and the environment that leads it there."""

    plan: Path
    server: Served
    environment: Mapping[str, str]

    def droplets(self, run: str) -> list[str]:
        """The status of each droplet of a run."""
        answer = httpx.get(
            f"{self.server.http}/v2/droplets?per_page=200",
            headers={"Authorization": f"Bearer {self.server.token}"},
            trust_env=False,
        )
        droplets = answer.json()["droplets"]
        return [each["status"] for each in droplets if run in map(run_of_tag, each["tags"])]


@contextmanager
def stage(directory: Path, *, delay: float = 1.0) -> Iterator[Stage]:
    """The stage for the length of a block; machines take ``delay`` seconds to be made."""
    plan = _write(directory)
    with served(directory / "cloud", WAVETANK_MEMORY_DELAY=str(delay)) as server, _proxy() as proxy:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WAVETANK_")},
            "PATH": f"{directory / 'bin'}:{os.environ['PATH']}",
            "DIGITALOCEAN_TOKEN": server.token,
            "DIGITALOCEAN_API_URL": server.https,
            "WAVETANK_CA_FILE": server.ca_file,
            "WAVETANK_PROXY": proxy,
            "WAVETANK_OPERATORS": "198.51.100.7/32",
        }
        yield Stage(plan, server, environment)


def _write(directory: Path) -> Path:
    (directory / "bin").mkdir(parents=True)
    for name, script in (("ssh", SSH), ("docker", DOCKER)):
        (directory / "bin" / name).write_text(script)
        (directory / "bin" / name).chmod(0o755)
    (directory / "app").mkdir()
    (directory / "app" / "docker-compose.yml").write_text(COMPOSE)
    plan = directory / "pretended.yaml"
    plan.write_text(PLAN)
    return plan


@contextmanager
def _proxy() -> Iterator[str]:
    """A SOCKS5 proxy behind which every address answers alike."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    try:
        yield f"socks5://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def _accept(listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            made, _ = listener.accept()
            threading.Thread(target=_serve, args=(made,), daemon=True).start()


def _serve(made: socket.socket) -> None:
    with suppress(OSError, ValueError, IndexError), made, made.makefile("rwb") as stream:
        stream.read(stream.read(2)[1])
        stream.write(b"\x05\x00")
        stream.flush()
        kind = stream.read(4)[3]
        stream.read(stream.read(1)[0] + 2 if kind == 3 else {1: 6, 4: 18}[kind])
        stream.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        stream.flush()
        while head := _head(stream):
            length = int(head.get("content-length", 0))
            answer = json.dumps(_answer(json.loads(stream.read(length) or b"{}"))).encode()
            stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
            stream.flush()


def _head(stream: object) -> dict[str, str]:
    lines = {"": ""} if (first := stream.readline()) else {}  # type: ignore[attr-defined]
    while first and (line := stream.readline().strip()):  # type: ignore[attr-defined]
        name, _, value = line.decode().partition(":")
        lines[name.lower()] = value.strip()
    return lines


def _answer(asked: Mapping[str, str]) -> dict[str, str]:
    """What a program would have printed that doubles its input; others print nothing."""
    given = str(asked.get("stdin") or "").strip()
    return {"token": "t", "status": "Accepted", "stdout": str(2 * int(given)) if given.isdecimal() else ""}

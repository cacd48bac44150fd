"""The reference Judge0 by itself, to be measured: both databases, with TLS as managed ones have it, and one
container for each server and worker, on a network of their own that goes with the block."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker as engine

from harness.core.errors import CommandError
from harness.core.wait import NotYet, wait_for
from tests.bench.judge0_tls import certificates
from tests.bench.up import docker

PROJECT = Path(__file__).parents[2]
APP = PROJECT / "topologies/app"
LABEL = "wavetank.bench"
READY = 60.0
PORT = 2358

# What the worker's compose file gives it.
SANDBOX = ("--cap-add=SYS_ADMIN", "--security-opt=apparmor=unconfined")

DATABASES = {
    "REDIS_HOST": "valkey",
    "REDIS_PORT": "25061",
    "REDIS_USERNAME": "default",
    "REDIS_PASSWORD": "secret",
    "REDIS_CA_FILE": "/ca.pem",
    "POSTGRES_HOST": "postgres",
    "POSTGRES_PORT": "25060",
    "POSTGRES_DB": "defaultdb",
    "POSTGRES_USER": "doadmin",
    "POSTGRES_PASSWORD": "secret",
    "POSTGRES_CA_FILE": "/ca.pem",
}
ENVIRONMENT = {**DATABASES, "MAX_QUEUE_SIZE": "1000000"}


@dataclass(frozen=True)
class Stack:
    """``name`` labels all of it; ``images`` and ``containers`` by role; ``files`` holds the certificates."""

    name: str
    images: Mapping[str, str]
    files: Path
    containers: dict[str, str]

    def start(self, role: str, *options: str, **environment: str) -> None:
        """Start judge0-server or judge0-worker with Judge0's variables."""
        self._run(role, {**ENVIRONMENT, **environment}, {self.files / "ca.pem": "/ca.pem"}, *options)

    def database(self, role: str, port: str, user: str) -> None:
        """Start postgres or valkey and wait until it answers its user."""
        names = {"WT_USER": user, "WT_DATABASE": "defaultdb", "WT_PORT": port}
        password = self.files / "password"
        password.write_text("secret")
        self._run(role, names, {self.files: "/etc/wavetank/tls", password: "/etc/wavetank/password"})

        def probe() -> None:
            try:
                docker("exec", self.containers[role], "wt-ready")
            except CommandError as error:
                raise NotYet(error.output) from error

        wait_for(f"{role} to answer", probe, deadline=READY)

    def _run(self, role: str, names: Mapping[str, str], files: Mapping[Path, str], *options: str) -> None:
        words = [word for name, value in names.items() for word in ("--env", f"{name}={value}")]
        place = (f"--network={self.name}", f"--network-alias={role}", f"--label={LABEL}={self.name}")
        made = docker("create", *place, *words, *options, self.images[role]).strip()
        self.containers[role] = made
        for file, where in files.items():
            docker("cp", str(file), f"{made}:{where}")
        docker("start", made)

    def remove(self, role: str) -> None:
        """Stop a container and forget it."""
        docker("stop", self.containers[role])
        docker("rm", "--volumes", self.containers.pop(role))

    def address(self) -> tuple[str, int]:
        """Where the server listens."""
        document = json.loads(docker("inspect", self.containers["judge0-server"]))
        return document[0]["NetworkSettings"]["Networks"][self.name]["IPAddress"], PORT

    def sql(self, statement: str) -> list[list[str]]:
        """The rows that a statement returns, values as text."""
        to = "host=127.0.0.1 port=25060 user=doadmin dbname=defaultdb sslmode=require"
        command = ["psql", "--no-psqlrc", "-Atqc", statement, to]
        output = docker("exec", "--env=PGPASSWORD=secret", self.containers["postgres"], *command)
        return [line.split("|") for line in output.splitlines()]

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU that each container has used so far, programs in its sandbox included, by role."""
        client = engine.from_env()
        try:
            return {role: _cpu(client, each) for role, each in self.containers.items()}
        finally:
            client.close()


def _cpu(client: Any, container: str) -> float:
    document = client.api.stats(container, stream=False, one_shot=True)
    return float(document["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9


@contextmanager
def running_stack() -> Iterator[Stack]:
    """Databases for the length of the block; whatever is started in it goes with it."""
    name = f"wt-bench-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory(prefix="wavetank-bench-") as directory:
        files = Path(directory)
        for file, content in certificates("postgres", "valkey").items():
            (files / file).write_bytes(content)
        stack = Stack(name, _images(), files, {})
        docker("network", "create", f"--label={LABEL}={name}", name)
        try:
            stack.database("postgres", "25060", "doadmin")
            stack.database("valkey", "25061", "default")
            yield stack
        finally:
            left = docker("ps", "--all", "--quiet", f"--filter=label={LABEL}={name}").split()
            docker("rm", "--force", "--volumes", *left)
            docker("network", "rm", name)


def _images() -> dict[str, str]:
    command = [sys.executable, "-m", "emulator.docker.images", "base", "postgres", "valkey"]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise CommandError(command, done.returncode, done.stdout)
    _, postgres, valkey = done.stdout.split()
    return {"postgres": postgres, "valkey": valkey, **{role: _built(role) for role in SERVICES}}


def _built(role: str) -> str:
    context = APP / "judge0"
    dockerfile = context / f"{role.removeprefix('judge0-')}.Dockerfile"
    return docker("build", "--quiet", "--file", str(dockerfile), str(context)).strip()


SERVICES = ("judge0-server", "judge0-worker")

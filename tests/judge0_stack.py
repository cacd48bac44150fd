"""The reference Judge0 in containers: PostgreSQL, Valkey, servers and workers on a network of their own."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import docker
import httpx
from docker.models.containers import Container

from emulator.docker.engine import execute
from emulator.docker.images.build import connected, ensure
from harness.core.wait import NotYet, wait_for
from tests.bench.judge0_tls import certificates

APP = Path(__file__).parents[1] / "topologies/app"
LABEL = "wavetank.test"
READY = 60.0

# What the worker's compose file gives it.
SANDBOX: Mapping[str, Any] = {"cap_add": ["SYS_ADMIN"], "security_opt": ["apparmor=unconfined"]}

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

# SIOCSIFFLAGS without IFF_UP.
DOWN = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'eth0', 0))"


def archive(files: Mapping[str, bytes], *, mode: int = 0o644) -> bytes:
    """A tar file of `files`, for put_archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _sources(name: str) -> dict[str, Any]:
    """What an image of the application is built from; the two of Judge0 have one directory."""
    role = name.removeprefix("judge0-")
    if role in ("server", "worker"):
        return {"path": str(APP / "judge0"), "dockerfile": f"{role}.Dockerfile"}
    return {"path": str(APP / name)}


class Stack:
    """Starts with both databases; servers and workers are started by the test. All of it goes at the end."""

    def __enter__(self) -> Stack:
        self._context = connected()
        self.engine: docker.DockerClient = self._context.__enter__()
        self._name = f"wt-judge0-{uuid.uuid4().hex[:8]}"
        self._tls = certificates("postgres", "valkey", "mongo")
        self._network: Any = None
        try:
            images = ensure(["base", "postgres", "valkey"])
            self.images = {name: self._build(name) for name in ("judge0-server", "judge0-worker")}
            self._network = self.engine.networks.create(self._name, labels={LABEL: self._name})
            self.postgres: Any = self._database("postgres", images["postgres"], "25060", "doadmin")
            self.valkey = self._database("valkey", images["valkey"], "25061", "default")
            for database in (self.postgres, self.valkey):
                self.wait_until_ready(database)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for container in self.engine.containers.list(all=True, filters={"label": f"{LABEL}={self._name}"}):
            container.remove(force=True, v=True)
        if self._network is not None:
            self._network.remove()
        self._context.__exit__(kind, error, trace)

    def _build(self, name: str) -> str:
        image, _ = self.engine.images.build(**_sources(name), tag=f"wavetank-test/{name}", rm=True)
        return str(image.id)

    def _database(self, name: str, image: str, port: str, user: str) -> Container:
        environment = {"WT_USER": user, "WT_DATABASE": "defaultdb", "WT_PORT": port}
        container = self._create(image, name, environment)
        tls = {f"wavetank/tls/{file}": content for file, content in self._tls.items()}
        container.put_archive("/etc", archive({**tls, "wavetank/password": b"secret"}))
        container.start()
        return container

    def _create(self, image: str, alias: str, environment: Mapping[str, str], **options: Any) -> Container:
        container = self.engine.containers.create(
            image, environment=dict(environment), labels={LABEL: self._name}, network=self._name, **options
        )
        self._network.disconnect(container)
        # A swarm's names for a service and for its tasks.
        self._network.connect(container, aliases=[alias, f"tasks.{alias}"])
        return container

    @staticmethod
    def wait_until_ready(database: Any) -> None:
        def probe() -> None:
            if execute(database.client, database.id, ["wt-ready"])[0]:
                raise NotYet("wt-ready failed")

        wait_for("the database to answer", probe, deadline=READY)

    def _start(self, name: str, environment: Mapping[str, str], **options: Any) -> Container:
        container = self._create(self.images[name], name, {**DATABASES, **environment}, **options)
        container.put_archive("/", archive({"ca.pem": self._tls["ca.pem"]}))
        container.start()
        return container

    def address(self, container: Container) -> str:
        container.reload()
        return str(container.attrs["NetworkSettings"]["Networks"][self._name]["IPAddress"])

    def mongo(self) -> Container:
        """A MongoDB server under the name mongo."""
        image = ensure(["mongodb"])["mongodb"]
        container = self._database("mongo", image, "27017", "doadmin")
        self.wait_until_ready(container)
        return container

    @contextmanager
    def service(
        self,
        name: str,
        environment: Mapping[str, str],
        files: Mapping[str, bytes] | None = None,
        **options: Any,
    ) -> Iterator[Container]:
        """One of the application's services, built and started, with `files` beside its compose file."""
        if name not in self.images:
            self.images[name] = self._build(name)
        container = self._create(self.images[name], name, environment, **options)
        try:
            given = {"ca.pem": self._tls["ca.pem"], **(files or {})}
            container.put_archive(
                "/run", archive({f"app/{file}": content for file, content in given.items()})
            )
            container.start()
            yield container
        finally:
            container.remove(force=True, v=True)

    def sql(self, statement: str) -> list[list[str]]:
        """The rows of a statement, values as text."""
        to = "host=127.0.0.1 port=25060 user=doadmin dbname=defaultdb sslmode=require"
        argv = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, to]
        code, output = execute(self.postgres.client, self.postgres.id, argv, {"PGPASSWORD": "secret"})
        text = output.decode()
        assert code == 0, text
        return [line.split("|") for line in text.splitlines()]

    def forget_queue(self, key: str) -> None:
        """Delete a key in Valkey, as if it had lost it."""
        code = (
            "import asyncio, os; from judge0_common.connect import open_queue; "
            f"asyncio.run(open_queue(os.environ, size=1).delete({key!r}))"
        )
        container = self._create(
            self.images["judge0-server"], "once", DATABASES, command=["python3", "-c", code]
        )
        try:
            container.put_archive("/", archive({"ca.pem": self._tls["ca.pem"]}))
            container.start()
            status = container.wait(timeout=READY)["StatusCode"]
            assert status == 0, container.logs().decode()
        finally:
            container.remove(force=True, v=True)

    def start_server(self, environment: Mapping[str, str] | None = None, **options: Any) -> Container:
        """A server, which may not answer yet."""
        return self._start("judge0-server", environment or {}, **options)

    def lose_power(self, container: Container) -> None:
        """Its address stays in its names, and nothing answers there any more: no refusal, no reset."""
        self.engine.containers.run(
            self.images["judge0-server"],
            ["python3", "-c", DOWN],
            network_mode=f"container:{container.id}",
            cap_add=["NET_ADMIN"],
            labels={LABEL: self._name},
            remove=True,
        )

    @contextmanager
    def server(self, environment: Mapping[str, str] | None = None) -> Iterator[httpx.Client]:
        """A server for the length of a block, as a client of it."""
        container = self.start_server(environment)
        try:
            with httpx.Client(base_url=f"http://{self.address(container)}:2358", timeout=30) as client:
                self._answers(client, environment or {})
                yield client
        finally:
            container.remove(force=True, v=True)

    @staticmethod
    def _answers(client: httpx.Client, environment: Mapping[str, str]) -> None:
        def probe() -> None:
            try:
                answer = client.get("/workers", headers={"X-Auth-Token": environment.get("AUTHN_TOKEN", "")})
            except httpx.TransportError as error:
                raise NotYet(str(error)) from error
            if answer.status_code != 200:
                raise NotYet(answer.text)

        wait_for("judge0-server to answer", probe, deadline=READY)

    def start_worker(self, **environment: str) -> Container:
        """A worker, as the compose file starts it."""
        return self._start("judge0-worker", environment, **SANDBOX)

    @contextmanager
    def worker(self, **environment: str) -> Iterator[Container]:
        """A worker for the length of a block."""
        container = self.start_worker(**environment)
        try:
            yield container
        finally:
            container.remove(force=True, v=True)


def run(client: httpx.Client, language: int, source: str, **more: object) -> dict[str, Any]:
    """Run a program and return what became of it."""
    body = {"language_id": language, "source_code": source, **more}
    answer = client.post("/submissions?wait=true", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def create(client: httpx.Client, language: int, source: str, **more: object) -> str:
    """Queue a program and return its token."""
    answer = client.post("/submissions", json={"language_id": language, "source_code": source, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def show(client: httpx.Client, *tokens: str, fields: str = "*") -> list[dict[str, Any]]:
    """The submissions, not from the server's cache."""
    found: list[dict[str, Any]] = []
    for i in range(0, len(tokens), 20):
        asked = {"tokens": ",".join(tokens[i : i + 20]), "fields": fields}
        found += client.get("/submissions/batch", params=asked).raise_for_status().json()["submissions"]
    return found


def wait_until_finished(client: httpx.Client, *tokens: str, deadline: float = 60) -> None:
    """Until all the submissions have a final status."""

    def probe() -> None:
        try:
            found = show(client, *tokens, fields="status")
        except httpx.HTTPError as error:
            raise NotYet(str(error)) from error
        waiting = [item["status"]["description"] for item in found if item["status"]["id"] in (1, 2)]
        if waiting:
            raise NotYet(f"{len(waiting)} of {len(found)} are {set(waiting)}")

    wait_for("the submissions to be finished", probe, deadline=deadline)


def wait_for_all(client: httpx.Client, *tokens: str) -> list[dict[str, Any]]:
    """The submissions once all of them have a final status."""
    wait_until_finished(client, *tokens)
    return show(client, *tokens)

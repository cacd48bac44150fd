"""The containers of an emulator or a benchmark, asked of the engine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from docker.models.containers import Container
from docker.utils.socket import STDOUT, frames_iter

from emulator.docker.droplet import KIND, inside
from emulator.docker.engine import connect
from emulator.docker.usage import read
from harness.core.errors import CommandError
from harness.deploy.engine import REPOSITORY
from harness.target import emulator_process


def of_emulator(state_dir: Path, *labels: str, stopped: bool = False) -> list[Container]:
    """The containers of the emulator that ``up`` started, by its state directory and further labels."""
    wanted = [f"wavetank.state={emulator_process.directory(state_dir)}", *labels]
    found: list[Container] = connect().containers.list(all=stopped, filters={"label": wanted})
    return found


def volumes_of_emulator(state_dir: Path) -> list[str]:
    """The names of its volumes."""
    label = f"wavetank.state={emulator_process.directory(state_dir)}"
    return [str(each.name) for each in connect().volumes.list(filters={"label": label})]


def images_on_droplets(state_dir: Path) -> set[str]:
    """The names of the images on its droplets that were built on this machine."""
    command = inside(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"])
    droplets = of_emulator(state_dir, f"wavetank.kind={KIND}")
    listed = [cast("bytes", each.exec_run(command).output).decode() for each in droplets]
    names = {name for each in listed for name in each.split()}
    return {name for name in names if name.startswith(f"{REPOSITORY}/")}


def remove_images(names: Iterable[str]) -> None:
    """Remove these images from this machine's engine."""
    for name in names:
        connect().images.remove(name)


def memory_bytes(container: Any) -> int:
    """Memory in use, without the cache of files that can be dropped."""
    usage = read(str(container.name), container.client.api.stats(container.id, stream=False, one_shot=True))
    return usage.memory_bytes if usage else 0


def cpu_seconds(container: Any) -> float:
    """Seconds of CPU used so far, those of nested control groups included."""
    stats = container.client.api.stats(container.id, stream=False, one_shot=True)
    return float(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9


@contextmanager
def running(container: Any, argv: Sequence[str]) -> Iterator[Any]:
    """A program in a container; what it gives ends it by a line on its stdin, and returns its JSON.

    Raises ``CommandError`` if it fails.
    """
    api = container.client.api
    made = api.exec_create(container.id, list(argv), stdin=True)["Id"]
    stream = api.exec_start(made, socket=True)
    # The SDK wraps the socket in a reader that cannot be written to.
    raw = cast(Any, getattr(stream, "_sock", stream))
    raw.settimeout(60)

    def result() -> Any:
        raw.sendall(b"\n")
        frames = list(cast(Any, frames_iter)(stream, tty=False))
        output = b"".join(data for kind, data in frames if kind == STDOUT)
        if api.exec_inspect(made)["ExitCode"]:
            raise CommandError(argv, 1, b"".join(data for _, data in frames).decode(errors="replace"))
        return json.loads(output)

    try:
        yield result
    finally:
        stream.close()
        raw.close()

"""The emulator as a program: ``python -m emulator serve|destroy|images|sweep``.

``serve`` writes ``endpoint.json`` into its state directory once it answers. Errors go to stderr as one
message, with the exit codes of ``harness.core.errors``.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.planes.base import Plane, PlaneError
from emulator.statedir import DATABASE, LOG, PLANE, PLANES, SYSTEM, hold, instance, plane_of, system_of
from harness.core import signals
from harness.core.errors import EngineError, WavetankError
from harness.core.names import DROPLET_SYSTEMS

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

TAKE_BACK_SECONDS = 5
FAULTS, DELAY = "WAVETANK_MEMORY_FAULTS", "WAVETANK_MEMORY_DELAY"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        code: int = options.run(options)
    except WavetankError as error:
        print(f"emulator: {error}", file=sys.stderr)  # noqa: T201 (a program's message)
        return error.exit_code
    except PlaneError as error:
        print(f"emulator: {error}", file=sys.stderr)  # noqa: T201 (a program's message)
        return EngineError.exit_code
    except OSError as error:  # a directory that cannot be written, a disk that is full
        print(f"emulator: the state directory cannot be used: {error}", file=sys.stderr)  # noqa: T201 (a program's message)
        return EngineError.exit_code
    except signals.Stopped as stopped:
        print(f"emulator: {stopped}", file=sys.stderr)  # noqa: T201 (a program's message)
        return 128 + stopped.signum
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m emulator", description="An emulated DigitalOcean.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="answer the API until SIGTERM; machines keep running")
    _common(serve, _serve)
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serve.add_argument("--https-port", type=int, default=0, help="0 (default): the last one, or any")
    serve.add_argument("--http-port", type=int, default=0, help="0 (default): the last one, or any")
    serve.add_argument(
        "--rate-limit", action="store_true", help="answer 429 after 250 requests a minute or 5000 an hour"
    )

    serve.add_argument(
        "--droplets",
        choices=DROPLET_SYSTEMS,
        help=f"what droplets are: the directory's, or {DROPLET_SYSTEMS[0]}",
    )

    destroy = commands.add_parser("destroy", help="remove every machine and the state directory's records")
    _common(destroy, _destroy)

    images = commands.add_parser("images", help="build what the Docker plane runs")
    images.add_argument("--force", action="store_true", help="build again what is there")
    images.set_defaults(run=_images)

    sweep = commands.add_parser("sweep", help="remove machines of emulators whose state directory is gone")
    sweep.set_defaults(run=_sweep)
    return parser


def _common(parser: argparse.ArgumentParser, run: object) -> None:
    parser.add_argument("--state", type=Path, required=True, help="the emulator's directory")
    parser.add_argument("--plane", choices=PLANES, help="default: the directory's, or docker")
    parser.set_defaults(run=run)


def make_plane(name: str, state: Path, system: str = DROPLET_SYSTEMS[0]) -> Plane:
    """The plane of that name for a state directory. Docker is imported only if it is wanted."""
    if name == "memory":
        return _memory_plane(state)
    from emulator.docker import DockerPlane

    plane: Plane = DockerPlane(instance(state), state, system)
    return plane


def _memory_plane(state: Path) -> Plane:
    """Faults (a JSON object, see ``MemoryPlane``) and delay (seconds) come from the environment."""
    from emulator.planes.memory import MemoryPlane

    try:
        faults = json.loads(os.environ.get(FAULTS, "{}"))
        delay = float(os.environ.get(DELAY, "0"))
    except ValueError as error:
        raise EngineError(
            f"{FAULTS} must be a JSON object and {DELAY} a number of seconds: {error}"
        ) from error
    return MemoryPlane(faults=faults, delay=delay, state=state / "memory-plane.json")


def _serve(options: argparse.Namespace) -> int:
    state: Path = options.state.resolve()
    os.umask(0o077)
    signals.install()  # until the server has handlers of its own
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # it would read what every package here says of itself
    gc.disable()  # all that is loaded stays: looking through it again and again is a tenth of the start
    try:
        with hold(state):
            _log_to(state / LOG)
            name = plane_of(state, options.plane)
            (state / PLANE).write_text(name)
            system = system_of(state, options.droplets)
            (state / SYSTEM).write_text(system)
            ports = {"https_port": options.https_port, "http_port": options.http_port}
            with _started(state, make_plane(name, state, system)) as cloud:
                from emulator.api.server import serve

                gc.freeze()
                gc.enable()
                serve(cloud, state, name, host=options.host, rate_limit=options.rate_limit, **ports)
    except (OSError, sqlite3.Error) as error:  # as of a full disk
        raise EngineError(f"the state directory cannot be used: {error}") from error
    logging.shutdown()
    os._exit(0)  # work under way is recorded and taken up by the next server; its threads are not waited for


@contextmanager
def _started(state: Path, plane: Plane) -> Iterator[Cloud]:
    """The cloud of ``state``, which answers, for the length of the block.

    Where it never came to answer, stopped or failed, nothing is left of one that is made for the first time.
    """
    fresh, answers = not (state / DATABASE).exists(), False
    pool = ThreadPoolExecutor(1)  # the plane mostly waits for the engine: load the rest meanwhile
    starting = pool.submit(signals.bound(plane.start))
    try:
        import emulator.api.server  # noqa: F401 (what comes next waits for the plane)

        cloud = _open(state, plane, starting)
        try:
            _start(cloud, starting)
            answers = True
            yield cloud
        finally:
            cloud.close()
    except BaseException:
        if fresh and not answers:
            _take_back(state, plane, starting)
        raise
    finally:
        pool.shutdown(wait=False)


def _take_back(state: Path, plane: Plane, starting: Future[None]) -> None:
    """Remove what a first start has made. Stopped, its waits end; a build of images ends with us.

    Machines are never of a first start: records that were there are gone then, and may be put back.
    """
    wait([starting], timeout=TAKE_BACK_SECONDS)
    with suppress(PlaneError, OSError):  # as where there is no engine; why it did not start says more
        if plane.existing().machines:
            return
        plane.destroy_all()
    for file in state.glob(f"{DATABASE}*"):
        file.unlink(missing_ok=True)


def _open(state: Path, plane: Plane, starting: Future[None]) -> Cloud:
    """The cloud of the records there are. Raises ``EngineError`` where they are gone, or cannot be used.

    A new file in the place of one that was lost would be the end of machines that only the old one knew.
    """
    from emulator.cloud.core import Cloud
    from emulator.cloud.store import StoreError

    file = state / DATABASE
    try:
        if not file.exists() or not file.stat().st_size:
            _await(starting)
            _require_no_machines(file, plane)
        return Cloud(file, plane)
    except (StoreError, EngineError, OSError) as error:
        starting.exception()  # it must not be at work while it is let go of
        plane.close()
        raise EngineError(str(error)) from error


def _require_no_machines(file: Path, plane: Plane) -> None:
    machines = plane.existing().machines
    if machines:
        raise EngineError(
            f"{file} is gone or empty, and {len(machines)} machines of it are there: put it back, or remove "
            "them with `wavetank emulator stop --destroy`"
        )


def _start(cloud: Cloud, starting: Future[None]) -> None:
    from emulator.cloud.store import StoreError

    try:
        cloud.start(lambda: _await(starting))
    except StoreError as error:
        raise EngineError(str(error)) from error
    except PlaneError as error:
        raise EngineError(f"the data plane cannot start: {error}") from error


def _await(starting: Future[None]) -> None:
    try:
        starting.result()
    except PlaneError as error:
        raise EngineError(f"the data plane cannot start: {error}") from error


def _destroy(options: argparse.Namespace) -> int:
    import shutil

    state: Path = options.state.resolve()
    if not state.is_dir():
        raise EngineError(f"{state} is not an emulator's directory")
    with hold(state):
        plane = make_plane(plane_of(state, options.plane), state)
        plane.destroy_all()
        plane.close()
        shutil.rmtree(state)
    return 0


def _images(options: argparse.Namespace) -> int:
    from emulator.docker.images import build

    for name, reference in build.ensure(force=options.force).items():
        print(f"{name}\t{reference}")  # noqa: T201 (the command's result)
    return 0


def _sweep(_options: argparse.Namespace) -> int:
    from emulator.sweep import sweep

    for line in sweep():
        print(line)  # noqa: T201 (the command's result)
    return 0


def _log_to(path: Path) -> None:
    logging.basicConfig(
        filename=path,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s",
    )
    path.chmod(0o600)


if __name__ == "__main__":
    signals.exit_process(main())

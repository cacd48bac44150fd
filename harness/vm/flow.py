"""The whole flow: build, boot, the run inside, and fetching its results."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import WavetankError
from harness.core.progress import Progress
from harness.core.wait import TIMEOUT_SCALE
from harness.run.rundir import RunDir
from harness.run.settings import new_name, topology_file
from harness.topology import load
from harness.vm import cache, data, project
from harness.vm.build import make
from harness.vm.guest import Guest
from harness.vm.inside import GUEST_PROJECT, booted, fetch_results, follow
from harness.vm.preflight import require

SEED_VARIABLE = "WAVETANK_ENGINE_SEED"  # the emulator's: what engines of droplets begin with
CHECK_SECONDS = 300  # what checks.ini gives one check
# Without checks that would take hours on an emulated processor and show nothing more; see docs/local-vm.md.
CHECKS = "not isolation and not swarm_updates and not swarm_failover"


@dataclass(frozen=True)
class Order:
    """What was ordered: a topology (name or file of this project), and the machine's size.

    ``memory`` is in MiB. ``patience`` stretches every deadline inside. ``hours`` is the most that the command
    may take. ``command`` runs there, in the project's directory; empty: ``wavetank run`` of the topology.
    ``keyword`` and ``faults`` pick its checks.
    """

    topology: str
    state_dir: Path
    cpus: int = 2
    memory: int = 12288
    patience: float = 20.0
    hours: float = 4.0
    command: tuple[str, ...] = ()
    keyword: str | None = None
    faults: bool | None = None


def run(order: Order, progress: Progress) -> int:
    """Run the topology in a fresh machine and return the exit code of what ran there.

    The run's directory here, with its report, the console's log and what it said, has the name of the run
    inside and becomes the latest. Raises ``WavetankError`` where the machine could not do it.
    """
    require(order.memory)
    run_dir = RunDir(order.state_dir, name_for(order.topology))
    with _scratch() as scratch:
        made = make(order.topology, scratch, progress)
        run_dir.create()
        with (
            booted(made, scratch, run_dir, progress, cpus=order.cpus, memory=order.memory) as (
                machine,
                guest,
            ),
            _files_fetched(guest, run_dir, progress),
            progress.step("vm: run"),
        ):
            return follow(
                machine,
                guest,
                command(order, run_dir.run),
                environment(order),
                run_dir.path / "vm.log",
                deadline=order.hours * 3600,
            )


def command(order: Order, run_name: str) -> tuple[str, ...]:
    """What runs in the guest."""
    if order.command:
        return order.command
    file = project.inside(topology_file(order.topology))
    named = ("--target=local", f"--topology={file}", f"--run={run_name}", "--keep=on-failure")
    picked = ("-k", order.keyword) if order.keyword else ()
    asked = () if order.faults is None else ("--faults" if order.faults else "--no-faults",)
    return ("python3", "-m", "harness", "run", *named, *picked, *asked)


def environment(order: Order) -> dict[str, str]:
    """The variables that make the harness, and pytest, wait longer in the guest."""
    return {
        TIMEOUT_SCALE: f"{order.patience:g}",
        SEED_VARIABLE: f"/var/lib/docker/{data.SEED}",
        "PYTEST_TIMEOUT": f"{order.patience * CHECK_SECONDS:g}",
        "PYTHONPATH": GUEST_PROJECT,
        "XDG_CACHE_HOME": f"{GUEST_PROJECT}/{project.CACHE}",
        "PYTHONUNBUFFERED": "1",
    }


def name_for(topology: str) -> str:
    """A run's name: the topology's, ``vm``, and something random. Raises ``TopologyError``."""
    file = topology_file(topology)
    return new_name(file.stem, "-vm", databases=load(file).databases)


@contextmanager
def _files_fetched(guest: Guest, run_dir: RunDir, progress: Progress) -> Iterator[None]:
    """Fetch the run's files at the end, even after a failure, whose own error then counts."""
    try:
        yield
    except Exception:
        try:
            fetch_results(guest, run_dir)
        except WavetankError as second:
            progress.note(f"vm: what the run wrote is lost: {str(second).splitlines()[0]}")
        raise
    with progress.step("vm: fetch the report"):
        fetch_results(guest, run_dir)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A directory for this boot alone, beside the cache: saved images are linked into it, not copied."""
    with tempfile.TemporaryDirectory(prefix=".boot-", dir=cache.cache_dir()) as path:
        yield Path(path)

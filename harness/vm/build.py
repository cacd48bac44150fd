"""Everything the machine boots from; what the cache has is not made again."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.compose import binary
from harness.core.parallel import in_parallel
from harness.core.progress import Progress
from harness.deploy.deploy import saved_images
from harness.deploy.engine import Image
from harness.run.settings import topology_file
from harness.topology import load
from harness.vm import cache, data, images, project, root
from harness.vm.disk import make_disk

ROOT_GB, DATA_GB, PROJECT_GB = 4, 64, 8  # of sparse files
SAVERS = 2


@dataclass(frozen=True)
class Made:
    """On this machine's disk: the root as a directory, and the images of root, engine's data and project."""

    root: Path
    disks: tuple[Path, Path, Path]


def make(topology_name: str, scratch: Path, progress: Progress) -> Made:
    """Make it for a topology. ``scratch`` is this boot's own directory, on the file system of the cache.

    All is made from one copy of the project: the guest finds every image under the name that it looks for.
    Raises ``UsageError`` for a topology or application that is not in this project, ``WavetankError`` else.
    """
    file, staged = project.inside(topology_file(topology_name)), scratch / "project"
    project.stage(staged)
    topology = load(staged / file)
    project.inside(topology.app, staged)
    with progress.step("vm: images"):
        wanted = images.emulators(staged)
        applications = images.applications(topology, progress)
        wanted += applications
    with progress.step("vm: save the application's images"):
        archive = saved_images()
        saved = in_parallel([partial(archive.path, image) for image in applications], workers=SAVERS)
    tree = cache.cached("root", root.identity(), root.make_root, progress)
    root_disk = cache.cached("root.ext4", root.identity(), lambda path: _root_disk(tree, path), progress)
    filled_from = cache.key(
        root.identity(), data.LOAD, data.SEED, *sorted(f"{each.reference} {each.id}" for each in wanted)
    )
    data_disk = cache.cached(
        "data.ext4", filled_from, lambda path: _data_disk(tree, wanted, applications, path), progress
    )
    with progress.step("vm: make project"):
        project.add_images(staged, saved)
        project.add_compose(staged, binary.ensure())
        project_disk = _project_disk(tree, staged, scratch / "project.ext4")
    return Made(tree, (root_disk, data_disk, project_disk))


def _root_disk(tree: Path, path: Path) -> None:
    make_disk(tree, path, gigabytes=ROOT_GB, label="root")


def _data_disk(tree: Path, wanted: Sequence[Image], applications: Sequence[Image], path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".data-", dir=path.parent) as work:
        filled = Path(work) / "docker"
        names, seeds = ([image.reference for image in each] for each in (wanted, applications))
        data.fill_all(tree, names, seeds, filled)
        make_disk(filled, path, gigabytes=DATA_GB, label="docker")


def _project_disk(tree: Path, staged: Path, path: Path) -> Path:
    root.compile_in(tree, staged)
    make_disk(staged, path, gigabytes=PROJECT_GB, label="wavetank")
    return path

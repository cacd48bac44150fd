"""Python packages for images that are fed from PyPI: downloaded here, by pip, and handed to the build.

The build itself then needs no package index, nor its certificates.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from emulator.docker.images.errors import ImageBuildError

PINS = "wheels.txt"
PYTHON = "3.11"
GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014")
SECONDS = 600


def wheels_for(directory: Path, cache: Path, machine: str) -> dict[str, Path]:
    """Map ``site/<path>`` to each file of the wheels that ``directory/wheels.txt`` pins; empty without one.

    ``machine`` is the image's architecture (x86_64, aarch64). Raises ``ImageBuildError``.
    """
    pins = directory / PINS
    if not pins.is_file():
        return {}
    key = hashlib.sha256(f"{machine}\0{pins.read_text()}".encode()).hexdigest()[:12]
    store = cache / f"{directory.name}-{key}"
    if not store.is_dir():
        _download(directory.name, pins, store, machine)
    return {
        f"site/{path.relative_to(store).as_posix()}": path
        for path in sorted(store.rglob("*"))
        if path.is_file()
    }


def download_argv(pins: Path, into: Path, machine: str) -> list[str]:
    """pip's command that fetches the pinned wheels, and only those, for the image's Python."""
    platforms = [f"--platform={glibc}_{machine}" for glibc in GLIBC]
    only = ["--no-deps", "--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    return [*pip, *only, *platforms, f"--requirement={pins}", f"--dest={into}"]


def _download(image: str, pins: Path, store: Path, machine: str) -> None:
    """Fill ``store`` in one step, so that an interrupted download leaves nothing that looks finished."""
    store.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wheels-", dir=store.parent) as scratch:
        into = Path(scratch) / "wheels"
        argv = download_argv(pins, into, machine)
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ImageBuildError(image, "pip download", str(error)) from error
        if done.returncode:
            output = (done.stdout + done.stderr).splitlines()[-15:]
            raise ImageBuildError(image, "pip download", f"exit {done.returncode}", output)
        for wheel in into.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(Path(scratch) / "site")
        (Path(scratch) / "site").rename(store)

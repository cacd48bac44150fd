"""The data of the guest's engine, filled here: in the guest, importing an image takes 25 times as long.

The guest's own engine does it, in its own root, with its own process numbers and without a network: nothing
of it can be left behind, and what it writes is what it will read.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.vm.command import run

SAVE_SECONDS = 900.0
LOAD_SECONDS = 900.0
# 1: the root, 2: where the data goes, 3: a directory with images.tar
LOAD = """\
set -eu
root=$1
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir "$root/tmp/images"
mount --bind "$2" "$root/var/lib/docker"
mount --bind "$3" "$root/tmp/images"
chroot "$root" /bin/sh -eu <<'END'
dockerd --bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \\
    >/run/dockerd.log 2>&1 &
tries=0
until docker version >/run/version 2>&1; do
    tries=$((tries + 1))
    if [ $tries -gt 600 ] || ! kill -0 $! 2>/dev/null; then tail -n 20 /run/dockerd.log >&2; exit 1; fi
    sleep 0.1
done
docker load --quiet --input /tmp/images/images.tar
kill $!
wait $! || true
END
"""
# Where the guest has the images that engines of its droplets begin with; its own engine ignores it.
SEED = "wavetank-seed"
PARTS = ("image", "overlay2")


def fill_all(root: Path, references: Sequence[str], applications: Sequence[str], data: Path) -> None:
    """Make ``data`` for the guest's engine, and in its ``SEED`` what engines of droplets begin with.

    Importing an image in there takes so long that a droplet gets the application's images as if it had been
    made from a snapshot that has them. Raises ``CommandError``.
    """
    fill(root, references, data)
    if applications:
        scratch = data.parent / "seed"
        fill(root, applications, scratch)
        (data / SEED).mkdir(mode=0o700)
        for part in PARTS:
            (scratch / part).rename(data / SEED / part)
        mark_opaque(data / SEED)


def mark_opaque(layers: Path) -> None:
    """Mark each opaque directory as such where a user namespace reads it (userxattr)."""
    for directory, _, _ in os.walk(layers):
        with contextlib.suppress(OSError):  # most have no such attribute
            os.setxattr(directory, "user.overlay.opaque", os.getxattr(directory, "trusted.overlay.opaque"))


def fill(root: Path, references: Sequence[str], data: Path) -> None:
    """Make ``data``, an engine's data directory with ``references`` in it. Raises ``CommandError``."""
    data.mkdir(mode=0o710)
    with tempfile.TemporaryDirectory(prefix=".images-", dir=data.parent) as scratch:
        run(["docker", "save", "--output", f"{scratch}/images.tar", *references], deadline=SAVE_SECONDS)
        alone = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
        load = ["/bin/sh", "-c", LOAD, "load", str(root), str(data), scratch]
        run([*alone, *load], deadline=LOAD_SECONDS)
    shutil.rmtree(data / "runtimes", ignore_errors=True)

"""What the kernel starts with: busybox, the drivers of the root's disk, and files for the root.

ext4 is built in. The files are this one guest's (its keys), so that the root itself can be kept and shared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

DRIVERS = ("virtio_pci", "virtio_blk")
TRAILER = "TRAILER!!!"
DIRECTORY, REGULAR, PROGRAM = 0o040755, 0o100600, 0o100755

INIT = """\
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox mount -t devtmpfs none /dev
{load}
tries=0
until [ -b /dev/vda ]; do
    tries=$((tries + 1))
    if [ $tries -gt 300 ]; then echo "wavetank: no disk /dev/vda"; /bin/busybox poweroff -f; fi
    /bin/busybox sleep 0.1
done
/bin/busybox mount -t ext4 /dev/vda /root || /bin/busybox poweroff -f
/bin/busybox cp -a /seed/. /root/
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
"""


def make_initrd(root: Path, seed: Mapping[str, tuple[int, bytes]]) -> bytes:
    """The archive for the kernel in ``root``; ``seed`` maps paths in the root to mode and content."""
    release = kernel_release(root)
    modules = root / "lib/modules" / release
    paths = load_order((modules / "modules.dep").read_text(), DRIVERS)
    files: dict[str, tuple[int, bytes]] = {
        "bin/busybox": (PROGRAM, (root / "bin/busybox").read_bytes()),
        "init": (PROGRAM, INIT.format(load=_load(paths)).encode()),
        **{f"modules/{Path(path).name}": (REGULAR, (modules / path).read_bytes()) for path in paths},
        **{f"seed/{path}": (REGULAR | mode, content) for path, (mode, content) in seed.items()},
    }
    return cpio(files)


def kernel_release(root: Path) -> str:
    """The newest kernel's release, as its directory of modules is called."""
    found = sorted((root / "lib/modules").iterdir(), key=lambda path: _natural(path.name))
    return found[-1].name


def kernel(root: Path) -> Path:
    """The newest kernel's image."""
    return root / "boot" / f"vmlinuz-{kernel_release(root)}"


def load_order(dependencies: str, wanted: Sequence[str]) -> list[str]:
    """Paths of ``wanted`` modules and what they need, in the order to load them; built-in ones left out.

    ``dependencies`` is the text of ``modules.dep``, where a line names what its module needs, nearest first.
    """
    needs = {path: needed.split() for path, _, needed in _lines(dependencies)}
    by_name = {_module(path): path for path in needs}
    ordered: dict[str, None] = {}
    for name in wanted:
        if name in by_name:
            path = by_name[name]
            ordered.update(dict.fromkeys([*reversed(needs[path]), path]))
    return list(ordered)


def cpio(files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """Pack files (path -> mode with its type, content) and their directories in the kernel's own format."""
    entries = [(path, DIRECTORY, b"") for path in _parents(files)]
    entries += [(path, mode, content) for path, (mode, content) in files.items()]
    numbered = [*enumerate(entries, start=1), (0, (TRAILER, 0, b""))]
    return b"".join(_entry(number, *entry) for number, entry in numbered)


def _entry(number: int, path: str, mode: int, content: bytes) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if mode == DIRECTORY else 1
    fields = (number, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _parents(paths: Iterable[str]) -> list[str]:
    found = {str(parent) for path in paths for parent in Path(path).parents if str(parent) != "."}
    return sorted(found)


def _load(paths: Sequence[str]) -> str:
    return "\n".join(f"/bin/busybox insmod /modules/{Path(path).name}" for path in paths)


def _lines(text: str) -> list[tuple[str, str, str]]:
    return [line.partition(":") for line in text.splitlines() if ":" in line]


def _module(path: str) -> str:
    return Path(path).name.split(".")[0].replace("-", "_")


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part or 0), rest) for part, rest in re.findall(r"(\d*)(\D*)", text)]

"""What the kernel starts with: the drivers in the right order, in an archive that cpio reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.vm.initrd import REGULAR, cpio, kernel, kernel_release, load_order, make_initrd

DEPENDENCIES = """\
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/modern.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/virtio/modern.ko:
"""


def test_what_a_module_needs_is_loaded_before_it_and_once() -> None:
    """modules.dep names the nearest first, so it is read from the end."""
    order = [Path(path).stem for path in load_order(DEPENDENCIES, ("virtio_pci", "virtio_blk"))]
    assert order == ["virtio", "modern", "virtio_pci", "virtio_ring", "virtio_blk"]


def test_a_module_that_is_built_in_is_not_loaded() -> None:
    """It is in no line of modules.dep."""
    assert load_order(DEPENDENCIES, ("ext4",)) == []


def test_names_of_modules_may_have_dashes_and_be_compressed() -> None:
    """As other kernels of Debian have them."""
    assert load_order("kernel/lib/virtio-pci.ko.xz:\n", ("virtio_pci",)) == ["kernel/lib/virtio-pci.ko.xz"]


def unpacked(archive: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Read the format as the kernel's documentation has it (buffer-format.rst): name, mode, content."""
    at = 0
    while True:
        assert at % 4 == 0
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * number : at + 14 + 8 * number], 16) for number in range(13)]
        mode, size, named = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + named]
        assert name.endswith(b"\0")
        if name == b"TRAILER!!!\0":
            return
        at = -(-(at + 110 + named) // 4) * 4
        yield name[:-1].decode(), mode, archive[at : at + size]
        at = -(-(at + size) // 4) * 4


def test_the_archive_is_as_the_kernel_reads_it() -> None:
    """Directories before what is in them, modes and contents as given, sizes that need padding or none."""
    packed = cpio(
        {"etc/deep/key": (REGULAR, b"secret"), "init": (0o100755, b"#!/bin/sh\n"), "e": (REGULAR, b"")}
    )
    assert list(unpacked(packed)) == [
        ("etc", 0o040755, b""),
        ("etc/deep", 0o040755, b""),
        ("etc/deep/key", 0o100600, b"secret"),
        ("init", 0o100755, b"#!/bin/sh\n"),
        ("e", 0o100600, b""),
    ]


def test_the_newest_kernel_is_taken(tmp_path: Path) -> None:
    """Numbers count as numbers: 6.1.0-9 is older than 6.1.0-10."""
    for release in ("6.1.0-9-cloud-amd64", "6.1.0-10-cloud-amd64"):
        (tmp_path / "lib/modules" / release).mkdir(parents=True)
    assert kernel_release(tmp_path) == "6.1.0-10-cloud-amd64"
    assert kernel(tmp_path) == tmp_path / "boot/vmlinuz-6.1.0-10-cloud-amd64"


def test_the_initrd_has_the_seed_and_loads_the_drivers(tmp_path: Path) -> None:
    """The seed lies where init copies it from."""
    modules = tmp_path / "lib/modules/6.1"
    for path in load_order(DEPENDENCIES, ("virtio_pci", "virtio_blk")):
        (modules / path).parent.mkdir(parents=True, exist_ok=True)
        (modules / path).write_bytes(path.encode())
    (modules / "modules.dep").write_text(DEPENDENCIES)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/busybox").write_bytes(b"BUSY")
    packed = make_initrd(tmp_path, {"root/.ssh/authorized_keys": (0o600, b"ssh-ed25519 AAAA\n")})
    assert b"seed/root/.ssh/authorized_keys\0" in packed
    assert b"ssh-ed25519 AAAA\n" in packed
    assert packed.index(b"insmod /modules/virtio.ko") < packed.index(b"insmod /modules/virtio_blk.ko")

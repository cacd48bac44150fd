"""Unpacks a zip file from standard input into the directory where it is started, never over what is there.

It runs in the sandbox, under the submission's user id and a compiler's limits: an archive may hold a million
names, or say how one kilobyte becomes a terabyte, and then it is this process that ends. It stops after as
many bytes as its argument says. Links become plain files, names cannot lead out of the directory.
"""

import os
import sys
import zipfile
from pathlib import Path


def unpack(archive: zipfile.ZipFile, box: Path, largest: int) -> None:
    """Raises what a broken archive, or a full file system, raises."""
    left = largest
    for member in archive.infolist():
        target = box / os.path.normpath("/" + member.filename).lstrip("/")
        if member.is_dir() or target == box or target.exists():
            continue
        with archive.open(member) as file:
            content = file.read(left + 1)
        left -= len(content)
        if left < 0:
            return
        target.parent.mkdir(0o700, parents=True, exist_ok=True)
        mode = 0o600 | (member.external_attr >> 16) & 0o100
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as made:
            made.write(content)


def main() -> None:
    with zipfile.ZipFile(sys.stdin.buffer) as archive:
        unpack(archive, Path.cwd(), int(sys.argv[1]))


if __name__ == "__main__":
    main()

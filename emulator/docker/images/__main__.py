"""``python -m emulator.docker.images [--force] [NAME...]``: build missing images, and print all.

With ``--list`` it prints each image's name and the hash of its source. It builds nothing and needs no engine.
"""

from __future__ import annotations

import argparse
import sys

from emulator.docker.images.build import NAMES, ensure
from emulator.docker.images.source import IMAGES, content_hash
from emulator.planes.base import PlaneError


def main() -> int:
    """Return 0, or 3 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="python -m emulator.docker.images", description=__doc__)
    parser.add_argument("--force", action="store_true", help="build even what is there")
    parser.add_argument("--list", action="store_true", help="print names and hashes, build nothing")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all")
    options = parser.parse_args()
    if options.list:
        sys.stdout.writelines(f"{name} {content_hash(IMAGES / name)}\n" for name in NAMES)
        return 0
    try:
        references = ensure(options.names or None, force=options.force)
    except (PlaneError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 3
    sys.stdout.writelines(f"{reference}\n" for reference in references.values())
    return 0


if __name__ == "__main__":
    sys.exit(main())

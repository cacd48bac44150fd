"""``python -m harness.compose``: see that there is a Docker Compose to read with, and print its path."""

from __future__ import annotations

import sys

from harness.compose import binary
from harness.core.errors import WavetankError


def main() -> int:
    """Return 0, or 3 with the reason on stderr."""
    try:
        sys.stdout.write(f"{binary.ensure()}\n")
    except WavetankError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

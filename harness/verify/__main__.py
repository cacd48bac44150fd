"""pytest on the checks, as a process of ``wavetank verify``: a signal is ours before pytest is loaded."""

from __future__ import annotations

import sys

from harness import signals


def main() -> int:
    """Run pytest with our arguments; returns its exit code, or the signal's that came before or after it."""
    signals.install()
    try:
        import pytest

        return int(pytest.main(sys.argv[1:]))
    except signals.Stopped as error:
        return 128 + error.signum


if __name__ == "__main__":
    signals.leave(main())

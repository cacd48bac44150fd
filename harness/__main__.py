"""Where ``wavetank`` begins: a signal is ours before the rest is loaded, which takes a moment."""

from __future__ import annotations

import os

from harness.core import signals


def main() -> None:
    """Entry point of the ``wavetank`` script."""
    try:
        signals.install()
        from harness.cli import main as cli

        cli.main()
    except signals.Stopped as error:
        signals.write_stderr(f"wavetank: {error}")
        os._exit(128 + error.signum)  # nothing has begun, or all is told


if __name__ == "__main__":
    main()

"""pytest on the checks, as a process of ``wavetank verify``: we handle signals even before pytest is loaded.

Other plugins that are installed have no part in it: some change the order of tests, or run several at once.
"""

from __future__ import annotations

import os
import signal
import sys

from harness.core import signals

PLUGINS = ("-p", "harness.verify.plugin", "-p", "pytest_timeout")


def main() -> int:
    """Run pytest with our arguments; returns its exit code, or that of a signal before or after it."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        signals.install()
        if sys.platform == "linux":
            signals.die_with_parent(os.getppid(), signal.SIGINT)
        import pytest

        return int(pytest.main([*PLUGINS, *sys.argv[1:]]))
    except signals.Stopped as error:
        return 128 + error.signum


if __name__ == "__main__":
    signals.exit_process(main())

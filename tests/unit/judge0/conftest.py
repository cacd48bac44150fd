"""Imports the parts of the reference Judge0 that need nothing but Python, under their names in the image."""

import sys
from pathlib import Path

APP = Path(__file__).parents[3] / "topologies/app"
sys.path.append(str(APP / "judge0"))

# Compiled files would lie in directories that are shipped and built from.
before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
import judge0_worker.callback  # noqa: E402
import judge0_worker.sandbox  # noqa: E402, F401

sys.dont_write_bytecode = before

"""Wavetank's plugin for every test run here, once: an installation brings it by its entry point."""

from importlib.metadata import entry_points

pytest_plugins = [] if entry_points(group="pytest11", name="wavetank") else ["harness.verify.plugin"]

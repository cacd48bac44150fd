"""Wavetank's plugin for every test run here, once: an installation brings it by its entry point."""

import pytest


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Load it where nothing has: an installation from before there was an entry point has none."""
    if not pluginmanager.hasplugin("wavetank"):
        pluginmanager.import_plugin("harness.verify.plugin")

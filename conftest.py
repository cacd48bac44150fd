"""Wavetank's plugin for every test run here: it acts only where ``--target`` is given."""

pytest_plugins = ["harness.verify.plugin"]

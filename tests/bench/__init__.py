"""Measurements of Wavetank itself, each its own command: ``python -m tests.bench.NAME``."""

"""Measurements of Wavetank itself, each its own command: ``python -m harness.bench.NAME``."""

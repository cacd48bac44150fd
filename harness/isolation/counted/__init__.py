"""Observing with packet counters: the emulator's network counts what it was sent and what it dropped."""

"""Observing without packet counters: a cloud, or the emulator treated as one. Slow on purpose."""

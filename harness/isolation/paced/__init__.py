"""Observing without packet counters: a cloud, or the emulator taken for one. Slow on purpose."""

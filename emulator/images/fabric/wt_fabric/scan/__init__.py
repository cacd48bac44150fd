"""Scans: packets between pairs of machines, with the kernel's own counts."""

"""Checks of a topology that need more than one value: each names file, line, field and remedy."""

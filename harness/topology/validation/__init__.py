"""Checks of a topology that need more than one value: each says file, line, field and remedy."""

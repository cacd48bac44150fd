"""Helpers for checks of managed databases."""

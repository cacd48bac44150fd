"""Helpers for checks of the network."""

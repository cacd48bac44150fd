"""Helpers for checks of a swarm."""

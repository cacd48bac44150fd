"""Helpers for checks of a load balancer."""

"""The checks of a deployment, which ``pytest --target=...`` collects wherever it is run.

What they are written with, and the pytest plugin that finds them, is in ``harness.verify``.
"""

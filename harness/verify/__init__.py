"""The checks of a deployment: the pytest plugin that runs them, and their helpers.

``plugin`` adds the options, fixtures and the outcome *inconclusive*; ``runner`` starts pytest for
``wavetank verify``. The checks themselves are in ``harness.checks``. Imports nothing of the emulator.
"""

"""An emulated DigitalOcean: its API, and real machines behind it.

``api`` speaks HTTP, ``cloud`` is the control plane, ``planes`` is the interface of what runs machines, and
the one that only pretends to. ``docker`` runs them, ``docker.fabric`` is their network, ``docker.images``
builds what they run from the sources in ``images``. Imports go that way only: ``api`` -> ``cloud`` ->
``planes`` <- ``docker``. From ``harness`` the emulator takes ``harness.core``, nothing else; ``harness``
never imports ``emulator``.
"""

from emulator.mock import mock

__all__ = ["mock"]

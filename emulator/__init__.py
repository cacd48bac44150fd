"""An emulated DigitalOcean: its API, and real machines behind it.

``api`` speaks HTTP, ``cloud`` is the control plane, ``planes`` run the machines (or pretend to), ``fabric``
is the network, ``images`` holds what they are built from. Imports go that way only: ``api`` -> ``cloud`` ->
``planes`` (the interface) <- ``planes.docker`` -> ``fabric``. From ``harness`` the emulator takes
``errors``, ``signals`` and ``wait``, nothing else; ``harness`` never imports ``emulator``.
"""

from emulator.mock import mock

__all__ = ["mock"]

"""Topology files: read, validated, and turned into plain data; and what a service's node gets of it.

``load`` is the flow; ``source`` reads YAML and remembers lines, ``schema`` knows the keys, ``names`` and
``values`` what they may hold, ``references`` uses both, ``build`` makes the model, ``gates`` says what
firewalls admit, ``intent`` holds that against what was meant, ``application`` finds compose files and
templates, ``render`` and ``dotenv`` fill them in.
Nothing here talks to a network.
"""

from harness.topology.gates import intended
from harness.topology.load import load
from harness.topology.model import Topology

__all__ = ["Topology", "intended", "load"]

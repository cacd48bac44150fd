"""Topology files: read, validated, and turned into plain data; and what a service's node gets of it.

``load`` is the flow; ``source`` reads YAML and remembers lines, ``schema`` knows the keys, ``names`` and
``values`` what they may hold, ``references``, ``services`` and ``swarm`` use both, ``objectives`` holds
limits against each other, ``build`` makes the model, ``flows`` says who may talk to whom, ``intent`` holds
what firewalls admit (``harness.firewall``) against that and ``underlay`` against what a swarm needs,
``placement`` finds where its tasks can run, ``application`` compose files and templates, ``render`` and
``dotenv`` fill them in.
Nothing here talks to a network.
"""

from harness.topology.flows import intended
from harness.topology.load import load
from harness.topology.model import Topology

__all__ = ["Topology", "intended", "load"]

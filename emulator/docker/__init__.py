"""The data plane that runs everything: droplets and databases are containers, the fabric is their network.

``plane`` is the interface's implementation, ``droplet`` and ``database`` say what their containers look like,
``records`` keeps what the fabric must know of each, ``engine`` is all that is asked of Docker.
"""

from emulator.docker.plane import DockerPlane

__all__ = ["DockerPlane"]

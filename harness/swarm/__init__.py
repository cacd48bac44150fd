"""The plan's Option 2: the droplets as one Docker swarm, over ssh.

``snapshot`` reads a swarm, ``kernel`` what a member's kernel supports. ``cluster`` forms the swarm, its
labels and its ``network``; ``rotate`` removes members, lets them join again, and rotates the tokens;
``scale`` changes replicas.
"""

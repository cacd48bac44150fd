"""The plan's Option 2: the droplets as one Docker swarm, over ssh.

``look`` reads a swarm, ``kernel`` what a member's kernel can do. ``cluster`` forms the swarm, its labels and
its ``network``; ``rotate`` takes members out and in again and changes the tokens; ``scale`` changes replicas.
"""

"""What checks of a swarm are written with."""

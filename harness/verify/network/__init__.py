"""What checks of the network are written with."""

"""What checks of a load balancer are written with."""

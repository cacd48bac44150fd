"""Ways to the nodes of a deployment: ssh, tunnels, a SOCKS5 proxy."""

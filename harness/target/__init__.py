"""Where a deployment is made: the emulator or DigitalOcean, and the one boundary to their API."""

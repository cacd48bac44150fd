"""The harness: provisions, deploys, verifies and reports, against the emulator and the cloud alike.

Nothing below this package imports Docker or ``emulator``: DigitalOcean's API, ssh and HTTP are its only
ways to a deployment, which is what makes a green local run say something about the cloud.
"""

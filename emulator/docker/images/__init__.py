"""The images of the emulator's machines, and what builds them.

Each directory is one image; ``app/`` holds the reference workload, which the deployer builds. Only the
modules directly in here are part of the package: the rest runs inside the images.
"""

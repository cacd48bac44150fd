"""``wavetank setup``: install what Wavetank needs on this machine."""

from __future__ import annotations

import subprocess

import click


@click.command()
def setup() -> int:
    """Install and start what is missing on this machine: a Docker engine, ssh, and tools to build images.

    Needs root on Debian or Ubuntu. Elsewhere it changes nothing, prints what to install, and exits with 3.
    Where Docker's Compose plugin is missing or old, one is taken out of the image of a droplet.
    """
    from harness.compose import binary
    from harness.core.paths import SETUP

    code = subprocess.run(["bash", str(SETUP)], stdin=subprocess.DEVNULL, check=False).returncode
    if code == 0:
        binary.ensure()
        click.echo("setup: everything that Wavetank needs is here", err=True)
    return code

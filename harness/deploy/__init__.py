"""Puts the application on a deployment's nodes, over ssh: the plan's "No-Change Deployment".

Compose files come from ``harness.topology.rendering.render``, already without their networks.

* ``gather``     every image of the application: built, or found
* ``base``       the image that Dockerfiles of ours begin with
* ``images``     builds and saves images with this machine's Docker command line
* ``bundle``     everything one service needs on one node, and a hash of it
* ``remote``     what is run on a node: survey, ship, start, health
* ``deploy``     the flow
* ``logs``       what the nodes have to say afterwards
"""

from __future__ import annotations

from harness.deploy.deploy import DeployResult, deploy, prepare_images, read_apps, require_programs
from harness.deploy.logs import collect_logs

__all__ = ["DeployResult", "collect_logs", "deploy", "prepare_images", "read_apps", "require_programs"]

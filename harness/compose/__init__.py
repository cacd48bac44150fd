"""What a compose file means, as Docker Compose itself says it.

``reader.read`` runs ``docker compose config`` over an application and returns a ``model.ComposeProject``;
``binary`` says which program that is. Nothing else in the harness interprets a compose file. What is read as
plain YAML (``sources``) is which other files it names, for Compose's answer does not have their names.
"""

from harness.compose.build import build_of, containers
from harness.compose.model import Build, ComposeProject, Container
from harness.compose.reader import read

__all__ = ["Build", "ComposeProject", "Container", "build_of", "containers", "read"]

"""Names of an earlier version."""

from harness.run.session import Session as Setup
from harness.verify.stash import CHOICE, LEFT_OUT, OTHER_KIND, SECTIONS, SETUP

__all__ = ["CHOICE", "LEFT_OUT", "OTHER_KIND", "SECTIONS", "SETUP", "Setup"]

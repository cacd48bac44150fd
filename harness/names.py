"""How everything a run makes is named and tagged; the only place that knows.

Droplets and databases carry the run's tag. What DigitalOcean cannot tag (VPCs, firewalls, SSH keys,
projects) carries the run in its name. Nothing without one of the two is ever touched.
"""

from __future__ import annotations

import re

from harness.errors import UsageError

PREFIX = "wavetank"
STRANGER = "stranger"  # stands for no node of a topology: a droplet in the VPC that no rule names
RUN_PATTERN = re.compile(r"(?=.{1,24}$)[a-z0-9]+(?:-[a-z0-9]+)*")


def check_run(run: str) -> str:
    """Return ``run`` if it can be part of every kind of name. Raises ``UsageError``."""
    if not RUN_PATTERN.fullmatch(run):
        raise UsageError(
            f"run name {run!r} is not usable: take 1 to 24 lower-case letters, digits "
            "and single inner dashes, like 'local-7f3a'"
        )
    return run


def run_tag(run: str) -> str:
    """The tag that everything taggable of a run carries."""
    return f"{PREFIX}:{run}"


def node_tag(run: str, node: str) -> str:
    """The tag of one droplet of the run; firewalls and trusted sources name droplets by it."""
    return f"{PREFIX}:{run}:{node}"


def resource_name(run: str, name: str = "") -> str:
    """The name of an untaggable resource, or of a database cluster: ``wavetank-RUN[--NAME]``.

    Runs hold no double dash and names are joined by one, so no run's names can be another's.
    """
    return f"{PREFIX}-{run}--{name}" if name else f"{PREFIX}-{run}"


def run_of_tag(tag: str) -> str | None:
    """The run a tag belongs to, None if it is not ours."""
    parts = tag.split(":")
    ours = len(parts) in (2, 3) and parts[0] == PREFIX and all(parts)
    return parts[1] if ours and RUN_PATTERN.fullmatch(parts[1]) else None


def node_of_tag(tag: str) -> str | None:
    """The droplet's name in the topology that a node tag stands for, None if it is none."""
    return tag.split(":")[2] if run_of_tag(tag) is not None and tag.count(":") == 2 else None


def run_of_name(name: str) -> str | None:
    """The run a resource name belongs to, None if it is not ours."""
    if not name.startswith(f"{PREFIX}-"):
        return None
    run = name.removeprefix(f"{PREFIX}-").split("--")[0]
    return run if RUN_PATTERN.fullmatch(run) else None


def part_of_name(name: str) -> str:
    """What a resource name of ours says after the run: ``resource_name``'s second argument."""
    return name.partition("--")[2]

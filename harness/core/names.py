"""Names, tags and marks of all resources of a run; the only module that defines them.

Droplets and databases have the run's tag. Resources that DigitalOcean cannot tag (VPCs, firewalls, SSH keys)
have the run in their name and also a mark, because anybody may use such a name: see
``harness.provision.owner``.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from harness.core.errors import UsageError

PREFIX = "wavetank"
# What an emulated droplet may be inside; the first one, unless a topology asks for another.
DROPLET_SYSTEMS = ("debian-13", "ubuntu-24.04")
LEASE = "wavetank-lease"  # not a run's tag: a lease is not part of the run
STRANGER = "stranger"  # the outsider, not a node of the topology: a droplet in the VPC that no rule names
LONGEST_RUN = 24
RUN_PATTERN = re.compile(rf"(?=.{{1,{LONGEST_RUN}}}$)[a-z0-9]+(?:-[a-z0-9]+)*")
HOST_LABEL = 63  # RFC 1035, section 2.3.4
HOST = "private-{cluster}-do-user-12345678-0"  # how DigitalOcean makes it; accounts have up to 8 digits


def check_run(run: str) -> str:
    """Return ``run`` if it can be part of every kind of name. Raises ``UsageError``."""
    if not RUN_PATTERN.fullmatch(run):
        raise UsageError(
            f"run name {run!r} is not usable: use 1 to {LONGEST_RUN} lower-case letters, digits "
            "and single inner dashes, like 'local-7f3a'"
        )
    return run


def longest_run(databases: Collection[str]) -> int:
    """How long a run's name may be, so that each of its databases gets a host name."""
    room = [HOST_LABEL - len(_host("", name)) for name in databases]
    return min([LONGEST_RUN, *room])


def check_databases(run: str, databases: Collection[str]) -> None:
    """Raise ``UsageError`` if the host name that DigitalOcean makes for a database would be none."""
    for name in databases:
        if len(run) > longest_run([name]):
            raise UsageError(
                f"run name {run!r} is too long for database {name!r}: its host name would begin with "
                f"'{_host(run, name)}', more than the {HOST_LABEL} characters that a part of a host name may "
                f"have; take a run name of at most {longest_run([name])}"
            )


def _host(run: str, database: str) -> str:
    return HOST.format(cluster=resource_name(run, database))


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


def vpc_mark(run: str) -> str:
    """The description of a run's VPC: what tells it from one that only has the name."""
    return f"Wavetank run {run}"


def key_mark(run: str) -> str:
    """The comment of a run's public key: what tells it from one that only has the name."""
    return resource_name(run)


def lease_tag(run: str, *parts: str) -> str:
    """The tag that says that somebody uses a run; ``parts`` are who, and until when."""
    return ":".join((LEASE, run, *parts))


def parts_of_lease(tag: str) -> tuple[str, ...] | None:
    """The run and the parts of a lease's tag, None if it is none."""
    kind, *parts = tag.split(":")
    return tuple(parts) if kind == LEASE and parts and RUN_PATTERN.fullmatch(parts[0]) else None


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

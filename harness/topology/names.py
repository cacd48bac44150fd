"""What a name in a topology may be, and which droplets it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.core.names import STRANGER
from harness.topology.model import INTERNET, OPERATORS, VPC
from harness.topology.schema import RawTopology
from harness.topology.source import Problems, Step, did_you_mean
from harness.topology.values import is_cidr

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
RESERVED = (INTERNET, OPERATORS, VPC, STRANGER, "self")
# Of a database's host name the run's name takes at least 8 characters (core/names.py), as in run-7f3a.
LONGEST = {"droplets": 63, "databases": 17, "firewalls": 64, "services": 63}
PLACES = (INTERNET, OPERATORS, VPC)


@dataclass(frozen=True)
class Names:
    """``groups`` maps every droplet's name and every role to the droplets it stands for."""

    groups: Mapping[str, tuple[str, ...]]
    databases: tuple[str, ...]

    def droplets(self, names: Sequence[str]) -> tuple[str, ...]:
        """The droplets that names and roles stand for, each once, in order. Names must be known."""
        return tuple(dict.fromkeys(each for name in names for each in self.groups[name]))

    def ends(self, name: str) -> tuple[str, ...]:
        """What a peer or an end of a flow stands for: droplets, or itself."""
        return self.groups.get(name, (name,))


def collect(raw: RawTopology, problems: Problems) -> Names:
    """All names of a topology, checked."""
    for section, longest in LONGEST.items():
        for name in getattr(raw, section):
            check_name(problems, (section, name), name, longest)
    groups: dict[str, tuple[str, ...]] = {name: (name,) for name in raw.droplets}
    for name, droplet in raw.droplets.items():
        role = droplet.role or name
        if role in raw.droplets and role != name:
            remedy = f"give the role a name that no droplet has, like '{role}s'"
            problems.add(("droplets", name, "role"), f"{role!r} is also a droplet's name", remedy)
        elif role != name:
            groups[role] = (*groups.get(role, ()), name)
    for name in raw.databases:
        if name in groups:
            remedy = "give the database another name"
            problems.add(("databases", name), f"{name!r} is also a droplet's or role's name", remedy)
    return Names(groups, tuple(raw.databases))


def check_name(problems: Problems, path: Sequence[Step], name: str, longest: int) -> None:
    """A name that the topology gives to something."""
    if name in RESERVED:
        problems.add(path, f"{name!r} has a meaning of its own", "take another name")
    elif not LABEL.fullmatch(name) or len(name) > longest:
        remedy = f"take 1 to {longest} lower-case letters, digits and inner dashes, like 'server-1'"
        problems.add(path, f"{name!r} cannot be a host name", remedy)


def check_droplets(problems: Problems, names: Names, path: Sequence[Step], given: Sequence[str]) -> None:
    """Every item of the list at ``path`` must be a droplet or a role."""
    for index, name in enumerate(given):
        if name not in names.groups:
            problem = f"no droplet or role is called {name!r}"
            problems.add((*path, index), problem, did_you_mean(name, names.groups))


def check_droplet(problems: Problems, raw: RawTopology, path: Sequence[Step], name: str) -> None:
    """The value at ``path`` must be one droplet's name."""
    if name not in raw.droplets:
        problems.add(path, f"no droplet is called {name!r}", did_you_mean(name, raw.droplets))


def check_peer(problems: Problems, names: Names, path: Sequence[Step], name: str) -> None:
    """A rule's peer: a droplet, a role, a place or a CIDR."""
    if name in names.databases:
        remedy = (
            "say 'vpc': its private endpoint is in the VPC's range; its trusted sources decide who gets in"
        )
        problems.add(path, f"a Cloud Firewall cannot name a managed database ({name!r})", remedy)
    elif name not in names.groups and name not in PLACES and not is_cidr(name):
        known = [*names.groups, *PLACES]
        problem = f"{name!r} is no droplet, role, place or CIDR"
        problems.add(path, problem, did_you_mean(name, known))


def check_end(problems: Problems, names: Names, path: Sequence[Step], name: str) -> None:
    """An end of a flow: as a rule's peer, or a database to talk to."""
    if name in names.databases:
        if "from" in path:
            remedy = "turn the line round: droplets talk to databases"
            problems.add(path, f"{name!r} is a managed database and talks to nobody by itself", remedy)
    elif name not in names.groups and name not in PLACES and not is_cidr(name):
        known = [*names.groups, *names.databases, *PLACES]
        problem = f"{name!r} is no droplet, role, database, place or CIDR"
        problems.add(path, problem, did_you_mean(name, known))

"""What the image is that a topology names, and in what a droplet differs from that.

An emulated droplet is a Debian in a container: it has this machine's kernel and cgroups, and an engine of its
own. Where an application depends on something that differs, its behaviour here says nothing about a cloud.
This is the one table of what images are; what a droplet is, is asked of the droplet itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

from harness.access.ssh import Access
from harness.core.errors import WavetankError
from harness.core.parallel import in_parallel
from harness.topology.model import Droplet, Topology

DEADLINE = 30.0
# Since version 256 systemd starts on cgroup v1 only if forced to, since 258 not at all (its NEWS).
FORCED_SINCE, NEVER_SINCE = 256, 258
PARAMETER = "systemd.unified_cgroup_hierarchy=0"
FORCE = "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
SETS_V1 = re.compile(r"systemd\.unified_cgroup_hierarchy=(?:0|no|off|false)\b")

ASK = """\
say() { printf '%s|%s\\n' "$1" "$2"; }
say distribution "$(. /etc/os-release && echo "$PRETTY_NAME")"
say kernel "$(uname -r)"
case "$(stat -fc %T /sys/fs/cgroup)" in cgroup2fs) say cgroup v2;; tmpfs|cgroupfs) say cgroup v1;; esac
say systemd "$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \\([0-9]*\\).*/\\1/p')"
say engine "$(docker version --format '{{.Server.Version}}' 2>/dev/null)"
say compose "$(docker compose version --short 2>/dev/null)"
"""


@dataclass(frozen=True)
class Machine:
    """What a machine is. Empty: not known. ``NONE`` as engine or compose: there is none."""

    distribution: str = ""
    kernel: str = ""
    cgroup: str = ""
    systemd: str = ""
    engine: str = ""
    compose: str = ""


NONE = "none; `user_data` installs one"
UNKNOWN = Machine()

# Distributions' images as they boot; DigitalOcean changes nothing of this. Kernels are the distribution's own
# of that release. Sources: packages.ubuntu.com (linux-image-virtual, systemd), packages.debian.org
# (linux-image-cloud-amd64, systemd), the release notes on cgroups (Ubuntu since 21.10, Debian since 11: v2).
IMAGES: Mapping[str, Machine] = {
    "ubuntu-20-04": Machine("Ubuntu 20.04", "5.4", "v1", "245", NONE, NONE),
    "ubuntu-22-04": Machine("Ubuntu 22.04", "5.15", "v2", "249", NONE, NONE),
    "ubuntu-24-04": Machine("Ubuntu 24.04", "6.8", "v2", "255", NONE, NONE),
    "ubuntu-25-10": Machine("Ubuntu 25.10", "6.17", "v2", "257", NONE, NONE),
    "ubuntu-26-04": Machine("Ubuntu 26.04", "7.0", "v2", "259", NONE, NONE),
    "debian-11": Machine("Debian GNU/Linux 11", "5.10", "v2", "247", NONE, NONE),
    "debian-12": Machine("Debian GNU/Linux 12", "6.1", "v2", "252", NONE, NONE),
    "debian-13": Machine("Debian GNU/Linux 13", "6.12", "v2", "257", NONE, NONE),
    # The marketplace's "Docker": the slug stayed when its Ubuntu became 22.04; its engine is Docker's own.
    "docker-20-04": Machine("Ubuntu 22.04", "5.15", "v2", "249"),
}


@dataclass(frozen=True)
class Difference:
    """One thing that the image and the droplet do not have alike."""

    what: str
    image: str
    droplet: str


def image_of(slug: str) -> Machine:
    """What an image is; unknown for one that is not in the table, such as one of the account's own."""
    return IMAGES.get(re.sub(r"-(x64|x32|arm64|amd64)$", "", slug), UNKNOWN)


def promised(droplet: Droplet) -> Machine:
    """What the topology's image is once its ``user_data`` has run, as far as that tells."""
    machine = image_of(droplet.image)
    if machine.cgroup == "v2" and _sets_v1(droplet.user_data, machine):
        return Machine(**{**asdict(machine), "cgroup": "v1"})
    return machine


def why_no_v1(machine: Machine) -> str:
    """What it takes to have cgroup v1 on such a machine, as a remedy; says so where it cannot be."""
    version = int(machine.systemd or 0)
    if version >= NEVER_SINCE:
        return f"its systemd {version} has no cgroup v1 any more, so take ubuntu-24-04-x64 or debian-12-x64"
    parameters = f"{PARAMETER} {FORCE}" if version >= FORCED_SINCE else PARAMETER
    return (
        f'in `user_data`, write GRUB_CMDLINE_LINUX="{parameters}" to /etc/default/grub.d/99-cgroup.cfg, run '
        "update-grub and reboot"
    )


def inspect(access: Access, node: str) -> Machine:
    """What a droplet is, asked over ssh. Raises ``WavetankError``."""
    return read(access.run(node, ASK, deadline=DEADLINE))


def read(text: str) -> Machine:
    """What the script printed; lines that it does not know are left out."""
    known = {each.name for each in fields(Machine)}
    pairs = (line.partition("|") for line in text.splitlines())
    return Machine(**{name: value.strip() for name, _, value in pairs if name in known})


def differences(image: Machine, droplet: Machine) -> tuple[Difference, ...]:
    """In what the two differ, of what is known of both."""
    pairs = ((each.name, getattr(image, each.name), getattr(droplet, each.name)) for each in fields(Machine))
    return tuple(
        Difference(what, wanted, found)
        for what, wanted, found in pairs
        if wanted and found and not _is_like(what, wanted, found)
    )


def inspect_all(access: Access, topology: Topology) -> dict[str, Machine]:
    """Every droplet of the topology that can be asked; the others are unknown."""
    names = list(topology.droplets)
    return dict(zip(names, in_parallel([partial(_inspect, access, name) for name in names]), strict=True))


def section(topology: Topology, found: Mapping[str, Machine]) -> list[dict[str, Any]]:
    """The ``machines`` of a report: each image once for each kind of droplet that stands for it."""
    groups: dict[tuple[str, Machine, Machine], list[str]] = {}
    for name, droplet in topology.droplets.items():
        groups.setdefault((droplet.image, promised(droplet), found[name]), []).append(name)
    return [
        {
            "image": slug,
            "droplets": names,
            "known": image != UNKNOWN,
            "found": asdict(machine),
            "differences": [asdict(each) for each in differences(image, machine)],
        }
        for (slug, image, machine), names in groups.items()
    ]


def _inspect(access: Access, name: str) -> Machine:
    try:
        return inspect(access, name)
    except WavetankError:
        return UNKNOWN


def _sets_v1(user_data: str, machine: Machine) -> bool:
    """Whether what runs on first boot gives the kernel the parameters that make it cgroup v1."""
    version = int(machine.systemd or 0)
    lines: Iterable[str] = (line for line in user_data.splitlines() if not line.lstrip().startswith("#"))
    text = "\n".join(lines)
    forced = version < FORCED_SINCE or FORCE in text
    return version < NEVER_SINCE and forced and SETS_V1.search(text) is not None


def _is_like(what: str, wanted: str, found: str) -> bool:
    """Kernels by their first two numbers, distributions by name and release, others as they are."""
    if what == "kernel":
        return _numbers(wanted) == _numbers(found)
    return found.startswith(wanted) if what == "distribution" else wanted == found


def _numbers(version: str) -> list[str]:
    return re.findall(r"\d+", version)[:2]

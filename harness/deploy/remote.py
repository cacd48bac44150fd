"""What the deployer runs on a node. Shell only: a fresh Droplet has a shell, tar, curl and Docker.

Scripts hold names and paths, never secrets; those travel on standard input.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.access.ssh import Access
from harness.core.errors import CommandError, ResourceError, WaitTimeoutError
from harness.core.wait import NotYet, wait_for
from harness.deploy.bundle import Bundle, compose_command
from harness.deploy.engine import Image
from harness.deploy.images import COMPRESSED, Archive, unpacked

ROOT = "/opt/wavetank"
BOOTED = "/var/lib/wavetank/booted"
BOOT_SECONDS = 300.0
LOAD_SECONDS = 600.0
UP_SECONDS = 300.0
HEALTHY_SECONDS = 180.0
TAIL = 20

# One line for each container: state, status with its health, name. `docker ps` needs no compose, and is
# quicker.
CONTAINERS = (
    "docker ps -a --filter label=com.docker.compose.project={project}"
    " --format '{{{{.State}}}}|{{{{.Status}}}}|{{{{.Names}}}}'"
)

# Exits: 75 not yet, 76 never. cloud-init leaves boot-finished whether or not user_data has failed.
READY = f"""\
finished=$(ls /var/lib/cloud/instance/boot-finished 2>/dev/null)
if [ ! -e {BOOTED} ]; then
  echo "first boot is not done"; tail -n 10 /var/log/cloud-init-output.log 2>/dev/null
  [ -n "$finished" ] && exit 76; exit 75
fi
docker ps -q 2>&1 || exit 75
"""

# Of each container: its state, what starts it again ("-": nothing), the image's name, and the image it runs.
DETAILS = '{{.State.Status}} {{or .HostConfig.RestartPolicy.Name "-"}} {{.Config.Image}} {{.Image}}'
SURVEY = """\
cat {directory}/.deployed 2>/dev/null || true
echo ---
{containers} 2>/dev/null || true
echo ---
docker ps -aq --filter label=com.docker.compose.project={project} \
  | xargs -r docker inspect --format {details} 2>/dev/null || true
echo ---
{loaded}
"""
RESTARTED = {"always", "unless-stopped"}

# Image stores give one image different ids. So a node keeps a line for each image that was loaded and got
# another id there than it has here: the id here, the id there, the reference.
# The engine has a file open in its directory; asking it takes as long as all other questions together.
LOADED = "cat {root}/.images 2>/dev/null || true"
IMAGES = """\
docker images --no-trunc --format '{{{{.ID}}}} {{{{.Repository}}}}:{{{{.Tag}}}}'
echo ---
place=$(readlink /proc/"$(cat /run/docker.pid)"/fd/* | sed -n 's#/volumes/metadata.db$##p') 2>/dev/null
df -Pk "${{place:-$(docker info --format '{{{{.DockerRootDir}}}}')}}" | tail -n 1
echo ---
command -v zstd || true
echo ---
{loaded}
"""
# An archive has the names that its image had when it was saved, which need not be the wanted one; and the
# node may have an older image under that. So the name goes to what was loaded: what has our id, or where the
# node's image store gives other ids, what Docker says. A digest (`@`) is no name that one can give.
LOAD = """\
set -e
said=$({unpack}docker load -q)
loaded={id}
if ! docker image inspect {id} >/dev/null 2>&1; then
  names=$(printf '%s\\n' "$said" | sed -n 's/^Loaded image[ ID]*: *//p')
  loaded=$(printf '%s\\n' "$names" | grep -xF -e {name} -e {name}:latest | tail -n 1)
  [ -n "$loaded" ] || loaded=$(printf '%s\\n' "$names" | tail -n 1)
fi
case {name} in *@*) ;; *) docker tag "${{loaded:-{id}}}" {name} ;; esac
there=$(docker image inspect --format '{{{{.Id}}}}' {name})
if [ "$there" != {id} ]; then mkdir -p {root}; echo {id} "$there" {name} >> {root}/.images; fi
"""

# File by file, so that data which containers keep beside the compose file stays where it is, and each file
# is either the old or the new one. Files of the last bundle that this one lacks are removed.
INSTALL = """\
set -e
umask 022
mkdir -p {root}; cd {root}
rm -rf {fresh}; mkdir -m 700 {fresh}; tar -xpf - --no-same-owner -C {fresh}
mkdir -p {name}; chmod 700 {name}; rm -f {name}/.deployed
(cd {fresh}; find . ! -type d | sort) > {fresh}.files
if [ -e {name}/.files ]; then
  comm -23 {name}/.files {fresh}.files | while IFS= read -r file; do rm -f "{name}/$file"; done
fi
cd {fresh}
find . -type d | while IFS= read -r folder; do mkdir -p "../{name}/$folder"; done
find . ! -type d | while IFS= read -r file; do mv -f "$file" "../{name}/$file"; done
cd ..; rm -rf {fresh}; mv -f {fresh}.files {name}/.files
"""

REQUIRE_COMPOSE = """\
docker compose version >/dev/null 2>&1 || {
  echo "there is no 'docker compose' on this Droplet (the old docker-compose 1.29 will not do)"
  echo "  remedy: install docker-compose-v2 (Ubuntu) or docker-compose (Debian 13 and later) in its user_data"
  exit 127
} >&2
"""

UP = """\
cd {directory} || exit 1
{compose}compose up -d --no-build --force-recreate --remove-orphans && exit
code=$?
{require}exit $code
"""

HEALTH = """\
echo ---
if command -v curl >/dev/null; then curl -fsS -m 5 -o /dev/null {url} 2>&1 && echo answered
elif command -v wget >/dev/null; then wget -q -T 5 -O /dev/null {url} 2>&1 && echo answered
else echo "neither curl nor wget is installed"; fi
true
"""
# Headers may hold a token, so they come on standard input, a line for each check. wget would need them on its
# command line, where every process of the node can read them.
HEALTH_WITH_HEADERS = """\
echo ---
IFS= read -r given
if ! command -v curl >/dev/null; then echo "curl is not installed, which a health check with headers needs"
else printf %s "$given" | base64 -d | curl -K - 2>&1 && echo answered; fi
true
"""


@dataclass(frozen=True)
class HealthCheck:
    """A URL that a node asks of itself, and the headers that go with the request."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


def health_script(checks: Iterable[HealthCheck]) -> tuple[str, bytes]:
    """A script that asks each URL, and its standard input.

    It prints for each a line ``---``, and then ``answered`` or what went wrong.
    """
    script, given = "", b""
    for each in checks:
        if each.headers:
            script += HEALTH_WITH_HEADERS
            given += base64.b64encode(curl_options(each).encode()) + b"\n"
        else:
            script += HEALTH.format(url=shlex.quote(each.url))
    return script, given


def curl_options(check: HealthCheck) -> str:
    """The text of a configuration file of curl's that asks as ``HEALTH`` does, with headers."""
    options = ["fail", "silent", "show-error", "max-time = 5", 'output = "/dev/null"']
    pairs = [("url", check.url), *(("header", f"{name}: {value}") for name, value in check.headers.items())]
    for option, value in pairs:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        options.append(f'{option} = "{escaped}"')
    return "".join(f"{line}\n" for line in options)


# A health check's own output, which is in no log: a line for each of the last checks.
HEALTH_LOG = (
    "{{$name := .Name}}{{with .State.Health}}{{range .Log}}"
    "health check of {{$name}}, exit code {{.ExitCode}}: {{json .Output}}{{println}}"
    "{{end}}{{end}}"
)
DIAGNOSE = """\
{containers}
for name in $(docker ps -aq --filter label=com.docker.compose.project={project}); do
  docker inspect --format {health_log} "$name" 2>&1 | grep . | tail -n 1
  docker logs --tail {tail} "$name" 2>&1
done
"""


@dataclass(frozen=True)
class Container:
    """One container as ``docker ps`` shows it; ``status`` like ``Up 3 seconds (healthy)``."""

    state: str
    status: str
    name: str

    @property
    def up(self) -> bool:
        """Running, as far as is known in health, or ended as it should."""
        if self.state == "exited":
            return "(0)" in self.status
        return self.state == "running" and "(unhealthy)" not in self.status

    @property
    def healthy(self) -> bool:
        """Up, and not waiting for the first run of its health check."""
        return self.up and "starting)" not in self.status

    @property
    def dead(self) -> bool:
        """Failed, and not restarted: the state of one that Docker will restart is ``restarting``."""
        return self.state == "dead" or (self.state == "exited" and "(0)" not in self.status)

    def __str__(self) -> str:
        return f"{self.name}: {self.status or self.state}"


def directory(bundle: Bundle) -> str:
    """A bundle's directory on its node."""
    return f"{ROOT}/{bundle.service.name}"


def _quote(bundle: Bundle) -> str:
    return shlex.quote(bundle.service.name)


def wait_until_ready(access: Access, node: str, *, deadline: float = BOOT_SECONDS) -> None:
    """Wait for ssh, for the end of the first boot, and for the node's Docker engine."""
    access.wait_until_reachable(node, deadline)

    def probe() -> None:
        try:
            access.run(node, READY, deadline=30)
        except CommandError as error:
            if error.returncode == 76:
                raise ResourceError(
                    "droplet", node, f"failed at first boot: {error.output.strip()}"
                ) from error
            raise NotYet(error.output.strip()[-500:]) from error

    wait_for(f"first boot and Docker on {node}", probe, deadline=deadline, first_pause=0.2)


def is_deployed(access: Access, bundle: Bundle) -> bool:
    """Whether exactly this bundle is on the node, its containers are up, and run the images that are here."""
    script = SURVEY.format(
        directory=shlex.quote(directory(bundle)),
        containers=_containers(bundle),
        project=_quote(bundle),
        details=shlex.quote(DETAILS),
        loaded=_loaded_command(),
    )
    digest, listing, details, loaded = (access.run(bundle.node, script) + "---\n" * 3).split("---\n")[:4]
    if digest.strip() != bundle.digest:
        return False
    rows = [row for row in map(str.split, details.splitlines()) if len(row) == 4]
    # One with a restart policy that has ended was stopped by somebody, whatever its exit code.
    if any(state == "exited" and policy in RESTARTED for state, policy, _, _ in rows):
        return False
    if _is_stale(bundle, [(name, image) for _, _, name, image in rows], parse_loaded(loaded)):
        return False
    containers = parse_containers(listing)
    return len(containers) >= bundle.containers and all(container.up for container in containers)


def _is_stale(
    bundle: Bundle, running: Sequence[tuple[str, str]], loaded: Mapping[tuple[str, str], str]
) -> bool:
    """Whether a container runs another image than this machine has under the name. ``running``: name, id."""
    wanted = {image.reference: image for image in bundle.images.values() if image.id}
    return any(name in wanted and not _has({name: found}, loaded, wanted[name]) for name, found in running)


def ship_images(access: Access, node: str, images: Iterable[Image], archive: Archive) -> None:
    """Make sure that the node has all ``images``: loaded from here, or pulled there."""
    script = IMAGES.format(loaded=_loaded_command())
    listing, disk, zstd, loaded = access.run(node, script).split("---\n")
    rows = (line.split(" ", 1) for line in listing.splitlines())
    present = {reference: found for found, reference in rows}
    names = parse_loaded(loaded)
    for image in {image.reference: image for image in images}.values():
        if _has(present, names, image):
            continue
        if image.id:
            check_disk_space(node, image, disk)
            _load(access, node, image, archive.path(image), unpacks=bool(zstd.strip()))
        elif image.reference not in present:
            _pull(access, node, image)


def _has(present: Mapping[str, str], loaded: Mapping[tuple[str, str], str], image: Image) -> bool:
    found = present.get(image.reference)
    if found is None:
        return False
    return image.pinned or found in (image.id, loaded.get((image.reference, image.id)))


def _loaded_command() -> str:
    return LOADED.format(root=ROOT)


def parse_loaded(text: str) -> dict[tuple[str, str], str]:
    """Read what ``LOADED`` prints: the id on the node of an image by its reference and its id here."""
    rows = (line.split() for line in text.splitlines())
    return {(row[2], row[0]): row[1] for row in rows if len(row) == 3}


def check_disk_space(node: str, image: Image, disk: str) -> None:
    """Raise ``ResourceError`` when the image does not fit; ``disk`` is a line of ``df -Pk``."""
    fields = disk.split()
    free = int(fields[3]) * 1024 if len(fields) > 3 and fields[3].isdigit() else None
    needed = 2 * image.size  # loading unpacks first the archive, then its layers
    if free is not None and free < needed:
        problem = f"has {free >> 20} MiB free; loading {image.reference} takes {needed >> 20} MiB"
        raise ResourceError("droplet", node, problem)


def _load(access: Access, node: str, image: Image, file: Path, *, unpacks: bool) -> None:
    """Send an archive, packed where the node ``unpacks`` it, and load it there."""
    packed = unpacks and file.name.endswith(COMPRESSED)
    script = LOAD.format(
        unpack="zstd -dc | " if packed else "",
        name=shlex.quote(image.reference),
        id=shlex.quote(image.id),
        root=ROOT,
    )
    try:
        with file.open("rb") if packed else unpacked(file) as source:
            access.run(node, script, stdin=source, deadline=LOAD_SECONDS)
    except CommandError as error:
        problem = f"could not be loaded on {node}: {error.output.strip()[-1000:]}"
        raise ResourceError("image", image.reference, problem) from error


def _pull(access: Access, node: str, image: Image) -> None:
    try:
        access.run(node, f"docker pull -q {shlex.quote(image.reference)}", deadline=LOAD_SECONDS)
    except CommandError as error:
        problem = (
            f"is not on this machine, and {node} cannot pull it: {error.output.strip()[-1000:]}\n"
            f"  pull or build it here first: `docker pull {image.reference}`"
        )
        raise ResourceError("image", image.reference, problem) from error


def install(access: Access, bundle: Bundle) -> None:
    """Put the bundle's files in place, each of them atomically."""
    fresh = shlex.quote(f".new-{bundle.service.name}")
    script = INSTALL.format(root=ROOT, fresh=fresh, name=_quote(bundle))
    access.run(bundle.node, script, stdin=bundle.tar(), deadline=120)


def start(access: Access, bundle: Bundle) -> None:
    """Run compose. Raises ``ResourceError`` with its message."""
    script = UP.format(
        require=REQUIRE_COMPOSE,
        directory=shlex.quote(directory(bundle)),
        compose=compose_command(bundle.service),
    )
    try:
        access.run(bundle.node, script, deadline=UP_SECONDS)
    except CommandError as error:
        problem = f"compose did not start it: {error.output.strip()[-2000:]}\n{_diagnose(access, bundle)}"
        raise ResourceError("service", bundle.label, problem) from error


def wait_until_healthy(
    access: Access,
    bundle: Bundle,
    headers: Mapping[str, str] | None = None,
    *,
    deadline: float = HEALTHY_SECONDS,
) -> None:
    """Wait for every container, and for the service's health URL where it has one, asked with ``headers``.

    Raises ``ResourceError`` with the containers' states, their health checks' output and last log lines.
    """
    url = bundle.service.health
    asked, given = health_script([HealthCheck(url, headers or {})] if url else [])
    script = f"{_containers(bundle)}\n{asked}"

    def probe() -> None:
        _check_health(access.run(bundle.node, script, stdin=given or None, deadline=30), bundle)

    try:
        wait_for(f"{bundle.label} to be healthy", probe, deadline=deadline, first_pause=0.2, max_pause=1.0)
    except (WaitTimeoutError, DeadContainerError) as error:
        problem = f"is not healthy: {error}\n{_diagnose(access, bundle)}"
        raise ResourceError("service", bundle.label, problem) from error


class DeadContainerError(Exception):
    """A container failed for good."""


def _check_health(output: str, bundle: Bundle) -> None:
    """Raise ``NotYet`` or ``DeadContainerError`` unless the containers, and the URL if any, are fine."""
    listing, _, answer = output.partition("---\n")
    containers = parse_containers(listing)
    states = "; ".join(str(container) for container in containers) or "no containers"
    if any(container.dead for container in containers):
        raise DeadContainerError(states)
    url = bundle.service.health
    # The topology's URL says more than Docker's check, which first runs a whole interval after the start.
    if len(containers) < bundle.containers or not all(one.up if url else one.healthy for one in containers):
        raise NotYet(states)
    if url and "answered" not in answer:
        raise NotYet(f"{states}; {url}: {answer.strip() or 'no answer'}")


def _diagnose(access: Access, bundle: Bundle) -> str:
    script = DIAGNOSE.format(
        containers=_containers(bundle), project=_quote(bundle), health_log=shlex.quote(HEALTH_LOG), tail=TAIL
    )
    try:
        return access.run(bundle.node, script, deadline=30)
    except (CommandError, WaitTimeoutError) as error:
        return f"(and its logs cannot be read: {error})"


def mark_deployed(access: Access, bundle: Bundle) -> None:
    """Record on the node that this bundle runs."""
    access.run(bundle.node, f"echo {bundle.digest} > {shlex.quote(directory(bundle))}/.deployed")


def _containers(bundle: Bundle) -> str:
    return CONTAINERS.format(project=_quote(bundle))


def parse_containers(listing: str) -> tuple[Container, ...]:
    """Read the lines of ``CONTAINERS``."""
    rows = (line.split("|", 2) for line in listing.splitlines() if line.count("|") >= 2)
    return tuple(Container(*row) for row in rows)

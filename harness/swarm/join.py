"""Create a swarm, and join droplets to it, over private addresses.

Whoever has a join token can join, so it goes from the manager to the droplet by standard input only. On the
droplet itself ``docker swarm join`` takes it as an argument, as long as that command runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Network
from math import ceil

from harness.access.ssh import Access
from harness.core.errors import CommandError, ResourceError, WaitTimeoutError
from harness.core.wait import NotYet, scaled, wait_for
from harness.swarm.snapshot import Role
from harness.topology.deployment import Deployment

PORT = 2377
JOIN_SECONDS = 60.0
REACH_SECONDS = 20.0  # a firewall's rules may not be in force yet
ANSWER_SECONDS = 4.0
NOT_REACHED = "could not connect to prospective new cluster member"

# The range from which Docker takes overlay networks, one /24 after the other, and the other one that we give
# it where the VPC overlaps the first.
DEFAULT_POOL = IPv4Network("10.0.0.0/16")
OTHER_POOL = "10.128.0.0/16"

# What `init` prints is a token.
INIT = """\
docker swarm init --advertise-addr {own} --listen-addr {own}:2377 --dispatcher-heartbeat {heartbeat}s{pool} \
  >/dev/null
"""
TOKENS = "docker swarm join-token --quiet manager && docker swarm join-token --quiet worker"
JOIN = """\
read -r token
docker swarm join --token "$token" --advertise-addr {own} --listen-addr {own}:2377 {manager}:2377 >/dev/null
"""
# An engine waits 20 s for the join to succeed, and goes on trying after that.
GOES_ON = "will continue in the background"
STATE = "docker info --format '{{.Swarm.LocalNodeState}}: {{.Swarm.Error}}'"
LEAVE = "docker swarm leave --force"
REACH = """\
timeout {seconds} bash -c '</dev/tcp/{address}/2377' 2>&1 || {{
  [ $? = 124 ] && echo "no answer in {seconds} s"; exit 1
}}
"""


def private(deployment: Deployment, node: str) -> str:
    """A droplet's private address. Raises ``ResourceError`` where it has none."""
    address = deployment.nodes[node].private_ip if node in deployment.nodes else None
    if not address:
        raise ResourceError("droplet", node, "has no private address, which members of a swarm need")
    return address


def init(access: Access, deployment: Deployment, node: str, heartbeat: int) -> None:
    """Create a swarm of one member, ``node``. Raises ``ResourceError`` with its engine's message."""
    pool = f" --default-addr-pool {other}" if (other := other_pool(deployment.vpc_range)) else ""
    script = INIT.format(own=private(deployment, node), heartbeat=heartbeat, pool=pool)
    try:
        access.run(node, script, deadline=JOIN_SECONDS)
    except (CommandError, WaitTimeoutError) as error:
        raise ResourceError("droplet", node, f"could not make a swarm: {_message(error)}") from error


def other_pool(vpc_range: str) -> str:
    """The range for overlay networks, if Docker's default overlaps the VPC's; else "".

    A container on an overlay of the VPC's range would look for the databases there.
    """
    overlaps = bool(vpc_range) and IPv4Network(vpc_range).overlaps(DEFAULT_POOL)
    return OTHER_POOL if overlaps else ""


def tokens(access: Access, manager: str) -> Mapping[Role, str]:
    """The join tokens. Treat them as passwords."""
    as_manager, as_worker = access.run(manager, TOKENS).split()
    return {"manager": as_manager, "worker": as_worker}


def leave(access: Access, node: str) -> None:
    """Have ``node`` leave the swarm that it is in, or still tries to join."""
    try:
        access.run(node, LEAVE, deadline=JOIN_SECONDS)
    except CommandError as error:
        if "not part of a swarm" not in error.output:
            raise ResourceError(
                "droplet", node, f"does not leave its swarm: {error.output.strip()}"
            ) from error


def join(access: Access, deployment: Deployment, manager: str, node: str, token: str) -> None:
    """Join ``node`` to the swarm of ``manager``.

    Raises ``ResourceError`` where it cannot reach the manager, or the manager cannot reach it, with what to
    do, and for any other error of its engine. It has stopped trying then.
    """
    await_reachable(access, deployment, node, manager, deadline=REACH_SECONDS)
    script = JOIN.format(own=private(deployment, node), manager=private(deployment, manager))
    try:
        _join(access, node, script, token)
    except (CommandError, WaitTimeoutError) as error:
        with suppress(CommandError, WaitTimeoutError, ResourceError):
            leave(access, node)
        message = _message(error)
        if NOT_REACHED in message:
            message = unreachable(deployment, manager, node, message)
        raise ResourceError("droplet", node, f"did not join the swarm of {manager}: {message}") from error


def _join(access: Access, node: str, script: str, token: str) -> None:
    try:
        access.run(node, script, stdin=f"{token}\n".encode(), deadline=JOIN_SECONDS)
    except CommandError as error:
        if GOES_ON not in error.output:
            raise
        _await_in(access, node)


def _await_in(access: Access, node: str) -> None:
    """Wait until the engine of ``node`` says that it has joined."""

    def probe() -> None:
        state = access.run(node, STATE).strip()
        if not state.startswith("active"):
            raise NotYet(f"its engine says {state!r}")

    wait_for(f"{node} to be in the swarm", probe, deadline=JOIN_SECONDS)


def await_reachable(
    access: Access, deployment: Deployment, source: str, target: str, *, deadline: float
) -> None:
    """Wait until ``source`` reaches the manager ``target``. Raises ``ResourceError``."""
    script = REACH.format(address=private(deployment, target), seconds=ceil(scaled(ANSWER_SECONDS)))

    def probe() -> None:
        access.run(source, script)

    try:
        wait_for(f"{source} to reach {target}", probe, deadline=deadline, tolerate=(CommandError,))
    except WaitTimeoutError as error:
        message = _message(error.__cause__ or error)
        raise ResourceError("droplet", source, unreachable(deployment, source, target, message)) from error


def unreachable(deployment: Deployment, source: str, target: str, message: str) -> str:
    """The message that ``source`` does not reach the manager ``target``, and what to do."""
    return (
        f"{private(deployment, source)} ({source}) does not reach the swarm's manager at "
        f"{private(deployment, target)} ({target}) on {PORT}/tcp: {message}\n"
        f"  remedy: admit {PORT}/tcp from {source} to {target}; "
        f"`wavetank explain {source} {target} {PORT}/tcp` shows the rules"
    )


def _message(error: BaseException) -> str:
    return error.output.strip() if isinstance(error, CommandError) else str(error)

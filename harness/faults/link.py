"""Making the links of an emulated droplet worse: packets to it are late or lost (docs/emulator.md).

Only an emulator can do it, and only where its machine's kernel has netem. ``wavetank up`` makes links perfect
again that somebody made worse by hand, or that a killed process left so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from harness.core.errors import ApiError, UsageError
from harness.core.signals import deferred, stopped_by_signals
from harness.core.wait import NotYet, wait_for
from harness.target.emulator_api import EmulatorApi
from harness.target.target import Target
from harness.topology.deployment import Deployment

SECONDS = 60.0
NOT_FOUND, CONFLICT = 404, 409
MOST_DELAY_MS = 10_000
EMULATOR_ONLY = "only an emulator's links can be made worse, so only those of target local"


@dataclass(frozen=True)
class Quality:
    """``delay_ms`` on the way to the droplet, give or take ``jitter_ms``, and ``loss_percent`` of packets."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_percent: float = 0.0

    def __str__(self) -> str:
        jitter = f" (give or take {self.jitter_ms:g} ms)" if self.jitter_ms else ""
        late = [f"{self.delay_ms:g} ms late{jitter}"] if self.delay_ms else []
        lost = [f"{self.loss_percent:g} % lost"] if self.loss_percent else []
        return ", ".join((*late, *lost)) or "perfect"


PERFECT = Quality()


def refusal(target: Target) -> str:
    """Why links of this target can only be perfect; empty if they can be made worse."""
    if not target.info:
        return EMULATOR_ONLY
    if target.info["plane"] == "docker" and not target.info["capabilities"].get("netem"):
        return "this machine's kernel has no netem: links can neither delay nor lose packets"
    return ""


def read(target: Target, deployment: Deployment) -> dict[str, Quality]:
    """The quality of every node's links. Raises ``UsageError`` for a target that is no emulator."""
    if not target.info:
        raise UsageError(EMULATOR_ONLY)
    found = {each.pop("droplet_id"): Quality(**each) for each in _shaped_links(target)}
    return {name: found.get(node.id, PERFECT) for name, node in deployment.nodes.items()}


def shape(target: Target, deployment: Deployment, node: str, quality: Quality) -> None:
    """Give a node's links a quality, once no action of the node is in progress.

    Raises ``UsageError`` where the target cannot do it, or no link can; ``WaitTimeoutError``.
    """
    if quality != PERFECT and (reason := refusal(target)):
        raise UsageError(f"{node}: {reason}")
    path = f"/links/droplet/{deployment.nodes[node].id}"
    with EmulatorApi(target) as emulator:

        def probe() -> None:
            try:
                emulator.ask("PUT", path, asdict(quality))
            except ApiError as error:
                if error.status == CONFLICT:  # an action is in progress
                    raise NotYet(error.message) from error
                raise

        wait_for(f"the links of {node} to be {quality}", probe, deadline=SECONDS)


def _shaped_links(target: Target) -> list[dict[str, Any]]:
    with EmulatorApi(target) as emulator:
        try:
            links: list[dict[str, Any]] = emulator.ask("GET", "/links")["links"]
        except ApiError as error:
            if error.status == NOT_FOUND:  # an emulator that an older version started has no such path
                return []
            raise
    return links


@contextmanager
def shaped(target: Target, deployment: Deployment, qualities: Mapping[str, Quality]) -> Iterator[None]:
    """Run a block while nodes' links have a quality; they are perfect afterwards, even if interrupted."""
    with stopped_by_signals():
        try:
            for node, quality in qualities.items():
                shape(target, deployment, node, quality)
            yield
        finally:
            with deferred("links are made perfect again"):
                for node in qualities:
                    shape(target, deployment, node, PERFECT)


def restore(target: Target, observe: Callable[[], Deployment]) -> tuple[str, ...]:
    """Make every link perfect; returns the nodes whose links were not. A cloud's always are.

    The deployment is only observed where there is a link that is not.
    """
    if not target.info or not _shaped_links(target):
        return ()
    deployment = observe()
    worse = tuple(node for node, each in read(target, deployment).items() if each != PERFECT)
    for node in worse:
        shape(target, deployment, node, PERFECT)
    return worse

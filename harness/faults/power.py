"""Powering droplets off through the API, and on again whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from harness.core.errors import ApiError
from harness.core.parallel import in_parallel
from harness.core.signals import deferred, stopped_by_signals
from harness.core.wait import NotYet, wait_for
from harness.provision.ready import longest_pause
from harness.target.api import Api
from harness.target.target import Target
from harness.topology.deployment import Deployment

SECONDS = 120.0
UNPROCESSABLE = 422  # another action is in progress, or there is nothing to do


class Power:
    """The power switches of a deployment's droplets: the droplet actions ``power_off`` and ``power_on``."""

    def __init__(self, target: Target, deployment: Deployment, api: Api) -> None:
        self._pause = longest_pause(target)
        self._deployment, self._api = deployment, api

    @contextmanager
    def without(self, *nodes: str) -> Iterator[None]:
        """Run a block while ``nodes`` have no power; they have it again afterwards, interrupted or not.

        Raises ``WaitTimeoutError`` where the API does not do it in time, ``ApiError`` where it refuses.
        """
        with stopped_by_signals():
            try:
                self.off(*nodes)
                yield
            finally:
                with deferred("power is given back"):  # a second ctrl-C must not keep it away
                    self.on(*nodes)

    def off(self, *nodes: str) -> None:
        """Power off all ``nodes`` at once; returns when the API says that they are off."""
        in_parallel([partial(self._bring, node, "power_off", "off") for node in nodes])

    def on(self, *nodes: str) -> None:
        """Power on those of ``nodes`` that are off; returns when the API says that they are active."""
        in_parallel([partial(self._bring, node, "power_on", "active") for node in nodes])

    def _bring(self, node: str, action: str, wanted: str) -> None:
        id_ = self._deployment.nodes[node].id

        def probe() -> None:
            status = self._api.client.droplets.get(id_)["droplet"]["status"]
            if status == wanted:
                return
            raise NotYet(f"{node} is {status}; {self._ask(id_, action)}")

        wait_for(f"{action} of {node}", probe, deadline=SECONDS, max_pause=self._pause)

    def _ask(self, id_: int, action: str) -> str:
        try:
            self._api.client.droplet_actions.post(id_, body={"type": action})
        except ApiError as error:
            if error.status != UNPROCESSABLE:
                raise
            return error.message
        return f"{action} begun"

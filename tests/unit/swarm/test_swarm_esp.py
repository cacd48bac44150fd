"""An encrypted overlay is refused where a kernel could not carry it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from harness.access.ssh import Access
from harness.core.errors import ResourceError
from harness.swarm import deploy
from harness.swarm.kernel import Kernel
from harness.topology.model import Topology

TOPOLOGY = cast("Topology", SimpleNamespace(name="plan", droplets={"a": None, "b": None}))


def insist(monkeypatch: pytest.MonkeyPatch, **esp: bool) -> None:
    """Ask for encryption between droplets whose kernels have ESP or not."""
    monkeypatch.setattr(deploy, "wait_until_ready", lambda *_: None)
    monkeypatch.setattr(deploy, "kernel", lambda _, node: Kernel(ipvs=True, esp=esp[node]))
    deploy.require_esp(cast("Access", None), TOPOLOGY)


def test_a_kernel_without_esp_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what can be done: services would start there, and never hear of each other."""
    with pytest.raises(ResourceError, match=r"kernel of b has no ESP.*encrypted: false.*local-vm"):
        insist(monkeypatch, a=True, b=False)


def test_kernels_with_esp_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said."""
    insist(monkeypatch, a=True, b=True)

"""Types that the command line's tests share with their conftest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.deploy import DeployResult

OPERATOR = "--operator-cidr=198.51.100.7/32"

Deploy = Callable[..., DeployResult]


@dataclass
class Outcome:
    """What one command line came to."""

    code: int
    out: str
    err: str


@dataclass
class Stage:
    """Where a test plays: ``deploy`` stands in for the deployer until a test puts in another."""

    state_dir: Path
    wavetank: Callable[..., Outcome]
    deploy: Deploy

"""``wavetank run --isolation vm``: the same run, with a virtual machine around it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests_cli import Outcome

from harness.vm import flow
from harness.vm.flow import CHECKS, Order

Wavetank = Callable[..., Outcome]


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """The virtual machines that would have been made; each ends with exit code 2."""
    made: list[Order] = []

    def run(order: Order, _: object) -> int:
        made.append(order)
        return 2

    monkeypatch.setattr(flow, "run", run)
    return made


def test_vm_runs_the_topology_in_a_virtual_machine(
    wavetank: Wavetank, orders: list[Order], tmp_path: Path
) -> None:
    """Topology, checks and faults are as asked for; the exit code is that of the run inside."""
    asked = ["run", "--isolation", "vm", "--topology", "swarm", "-k", "nodes", "--no-faults"]
    assert wavetank(*asked, "--state-dir", str(tmp_path)).code == 2
    assert orders == [Order("swarm", tmp_path, keyword="nodes", faults=False)]


def test_vm_leaves_out_what_only_time_decides_there(
    wavetank: Wavetank, orders: list[Order], tmp_path: Path
) -> None:
    """Without a choice of checks it is the one of ``make local-vm``."""
    assert wavetank("run", "--isolation", "vm", "--state-dir", str(tmp_path)).code == 2
    assert orders == [Order("standard", tmp_path, keyword=CHECKS)]


@pytest.mark.parametrize("more", [("--target", "do"), ("--app", "."), ("--run", "mine")])
def test_vm_refuses_what_it_cannot_do(wavetank: Wavetank, orders: list[Order], more: tuple[str, ...]) -> None:
    """Said before anything is made, and never ignored."""
    done = wavetank("run", "--isolation", "vm", *more)
    assert done.code == 4
    assert "--isolation vm" in done.err
    assert orders == []

"""When checks that disturb have their turn, and how often firewalls of nodes that were off are checked."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.errors import WaitTimeoutError
from harness.faults.fault import POWER_OFF, Fault
from harness.firewall.model import Pair
from harness.verify import disturbing
from harness.verify.disturbing import Work
from harness.verify.plugin import in_turn
from harness.verify.recovery import Violation

pytest_plugins = ["pytester"]
CHECKS = """
import pytest

pytestmark = pytest.mark.disturbs(first=True)

@pytest.mark.disturbs(last=True)
def test_judges(): ...

@pytest.mark.disturbs
def test_disturbs(): ...

def test_disturbs_first(): ...

@pytest.mark.disturbs(last=True)
def test_judges_too(): ...
"""
OBSERVES = "def test_observes(): ..."


def test_checks_have_their_turn(pytester: pytest.Pytester) -> None:
    """A check's own mark counts more than its module's; what has the same turn stays in its order."""
    pytester.makeini("[pytest]\nmarkers = disturbs")
    files = pytester.makepyfile(test_that_disturb=CHECKS, test_that_observe=OBSERVES).parent
    items, _ = pytester.inline_genitems(files)
    names = [item.name for item in in_turn(items)]
    assert names == [
        "test_observes",
        "test_disturbs_first",
        "test_disturbs",
        "test_judges",
        "test_judges_too",
    ]


class Scanned:
    """Outages that take no time, and the scans that were made; every pair of ``wrong`` is found each time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *wrong: Pair) -> None:
        self.scans: list[Sequence[str]] = []
        self.error: Exception | None = None
        self._wrong = wrong
        monkeypatch.setattr(disturbing, "run_outage", lambda _, fault: SimpleNamespace(fault=fault))
        context: Any = SimpleNamespace(workload=None)
        self.work = Work(context, self.scan)

    def scan(self, nodes: Sequence[str]) -> list[Violation]:
        self.scans.append(nodes)
        if self.error:
            raise self.error
        return [Violation(pair, f"{pair.source} to {pair.target}") for pair in self._wrong]

    def found(self, *nodes: str) -> tuple[str, ...]:
        """What was found at ``nodes`` after their outage."""
        return self.work.firewall_violations(self.work.outages.of(Fault(POWER_OFF, nodes)))


def test_all_outages_so_far_share_one_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told of its own nodes only."""
    scanned = Scanned(monkeypatch, Pair("a", "x"), Pair("x", "b"), Pair("x", "y"))
    for nodes in (("a",), ("b",), ("a", "b"), ("c",)):
        scanned.work.outage(nodes)
    assert [scanned.found("a"), scanned.found("b"), scanned.found("c")] == [("a to x",), ("x to b",), ()]
    assert scanned.found("a", "b") == ("a to x", "x to b")
    assert scanned.scans == [("a", "b", "c")]


def test_a_scan_that_fails_is_no_silence_and_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take minutes, and eight checks ask."""
    scanned = Scanned(monkeypatch)
    scanned.error = WaitTimeoutError("the scan", 120, "half of it")
    for nodes in (("a",), ("b",)):
        scanned.work.outage(nodes)
    for node in ("a", "b"):
        (said,) = scanned.found(node)
        assert said.startswith("could not be checked: waited 120 s for the scan")
    assert scanned.scans == [("a", "b")]


def test_a_later_outage_is_scanned_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan says nothing about what loses its power later."""
    scanned = Scanned(monkeypatch, Pair("a", "b"))
    assert [scanned.found("a"), scanned.found("b")] == [("a to b",), ("a to b",)]
    assert scanned.scans == [("a",), ("b",)]

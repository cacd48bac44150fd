"""The scan bench: who is wrong is counted as wrong, and nothing is scanned but a run's own addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core import ports
from harness.core.errors import UsageError
from harness.firewall.model import Pair
from tests.bench.scan import Row, Truth, table
from tests.bench.scanners import Found, ProbeSource, masscan, nmap, probe_source

TRUTH = Truth(Pair("a", "b"), ports.parse("10-12"), ports.parse("20-22"))


@pytest.mark.parametrize(
    ("found", "false"),
    [
        (Found(ports.parse("10-12"), ports.parse("20-22")), 0),
        (Found(ports.parse("10-12")), 0),
        (Found(ports.parse("10-11"), ports.parse("20-22")), 1),
        (Found(ports.parse("10-13"), ports.parse("20")), 3),
    ],
)
def test_missed_and_invented_ports_are_false(found: Found, false: int) -> None:
    """Closed ports count only for who tells them."""
    assert TRUTH.false(found) == false


def test_no_other_address_is_scanned() -> None:
    """It is refused before anything is looked up or started."""
    with pytest.raises(UsageError, match="not in the run's own range"):
        probe_source(Path("/nowhere"), 1, "10.0.0.2", "198.51.100.1", "10.0.0.0/20", limit=1)


def test_a_table_tells_what_was_left_out() -> None:
    """Seconds as a span, and a reason where there are none."""
    rows = [
        Row("one", "-x", 42, (1.0, 3.0, 2.0), (1.0, 1.0, 1.0), (3, 3, 2), (3, 3, 3), (0, 0, 1)),
        Row("two", "-y", 1, note="install Debian's package two"),
    ]
    first, second, third = table(rows, TRUTH).splitlines()
    assert "open of 3" in first
    assert "1.0 / 2.0 / 3.0" in second
    assert second.split()[-3:] == ["2-3", "3", "0-1"]
    assert third.endswith("install Debian's package two")


def test_what_others_print_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """nmap's XML, and masscan's list once it is told the way out."""
    xml = """<?xml version="1.0"?><nmaprun><host><ports><extraports state="filtered" count="65533"/>
    <port protocol="tcp" portid="10"><state state="open"/></port>
    <port protocol="tcp" portid="20"><state state="closed"/></port></ports></host></nmaprun>"""
    answers = {
        "nmap": xml,
        "route": "10.0.0.3 dev eth1 src 10.0.0.2 uid 0",
        "neigh": "10.0.0.3 lladdr 02:00:00:00:00:01 REACHABLE",
        "masscan": "#masscan\nopen tcp 10 10.0.0.3 1700000000\n# end\n",
    }

    def run(_: ProbeSource, *command: str) -> str:
        assert "--router-mac" not in command or "02-00-00-00-00-01" in command
        return next(text for word, text in answers.items() if word in command)

    monkeypatch.setattr(ProbeSource, "run", run)
    at = ProbeSource(1, "10.0.0.2", "10.0.0.3", 1)
    assert nmap(at, ["-sS"]) == Found(((10, 10),), ((20, 20),))
    assert masscan(at, ["--rate", "1"]) == Found(((10, 10),), None)

"""Whether the network is as it was made: asked, tampered with on purpose, and put right."""

from __future__ import annotations

import pytest
from rig import call

from emulator.cloud.core import Cloud
from emulator.planes.base import FAULTS

INTACT = {"intact": True, "differences": [], "repaired": []}


def test_a_network_is_intact_until_somebody_changes_it(cloud: Cloud) -> None:
    """Looking changes nothing; restoring tells what it put right, and forgets it."""
    assert call(cloud, "GET", "/_wavetank/ruleset").body == INTACT
    assert call(cloud, "POST", "/_wavetank/ruleset/faults", {"fault": "gre"}).status == 204
    found = call(cloud, "GET", "/_wavetank/ruleset").body
    assert (found["intact"], [each["text"] for each in found["differences"]]) == (False, ["gre"])
    assert call(cloud, "GET", "/_wavetank/ruleset").body == found
    restored = call(cloud, "POST", "/_wavetank/ruleset/restore").body
    assert (restored["differences"], [each["text"] for each in restored["repaired"]]) == ([], ["gre"])
    assert call(cloud, "GET", "/_wavetank/ruleset").body == INTACT


@pytest.mark.parametrize("fault", ["", "rm -rf", "TCP", *(f"{each} accept" for each in FAULTS)])
def test_a_fault_that_there_is_not_is_refused(cloud: Cloud, fault: str) -> None:
    """What is put in is one of a few things that are known, never a client's own words."""
    answer = call(cloud, "POST", "/_wavetank/ruleset/faults", {"fault": fault})
    assert answer.status in (400, 422)
    assert call(cloud, "GET", "/_wavetank/ruleset").body == INTACT

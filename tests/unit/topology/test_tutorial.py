"""docs/your-application.md: its parts are the topology that tests/emulator/test_editor.py deploys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import tutorial

from harness.run.settings import PROJECT
from harness.topology import load

TOPOLOGY = PROJECT / "tests/apps/editor.yaml"


def test_its_parts_are_a_whole_topology(tmp_path: Path) -> None:
    """One after the other, as a reader puts them together."""
    file = tmp_path / "editor.yaml"
    file.write_text(tutorial.topology())
    found = load(file, app=TOPOLOGY.parent / "editor", compose=False)
    assert replace(found, file=TOPOLOGY) == load(TOPOLOGY, compose=False)

"""A run's directory: private, pointed at, and remembering."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.run.rundir import RunDir


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """A directory that was made."""
    made = RunDir(tmp_path, "a")
    made.create()
    return made


def test_latest_points_at_the_newest(run_dir: RunDir) -> None:
    """By a relative link, so that the project can be moved."""
    RunDir(run_dir.state_dir, "b").create()
    latest = run_dir.state_dir / "latest"
    assert latest.readlink() == Path("runs/b")
    assert sorted(each.name for each in run_dir.state_dir.iterdir()) == ["latest", "runs"]


def test_only_its_owner_can_read_it(run_dir: RunDir) -> None:
    """It holds a key."""
    run_dir.public_key()
    assert run_dir.path.stat().st_mode & 0o777 == 0o700
    assert run_dir.private_key.stat().st_mode & 0o777 == 0o600


def test_the_key_is_made_once(run_dir: RunDir) -> None:
    """And says whose it is."""
    first = run_dir.public_key()
    assert first == run_dir.public_key()
    assert first.startswith("ssh-ed25519 ")
    assert first.endswith(" wavetank-a")


def test_facts_are_merged(run_dir: RunDir) -> None:
    """What was known stays, unless it is said anew."""
    assert run_dir.facts() == {}
    run_dir.remember(target="local", topology="standard")
    run_dir.remember(topology="other")
    assert run_dir.facts() == {"target": "local", "topology": "other"}

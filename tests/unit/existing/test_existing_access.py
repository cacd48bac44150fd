"""The way in to somebody else's nodes: by the user's own key and name, or there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hand_made import TAG

from harness.core.errors import UsageError
from harness.existing.access import NoAccess, access_to
from harness.existing.place import existing_dir
from harness.existing.view import Found
from harness.target.target import Target
from harness.topology.model import Topology


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Something that looks like a private key."""
    file = tmp_path / "mine"
    file.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    file.chmod(0o600)
    return file


def test_own_key_and_name_are_used(
    key: Path, tmp_path: Path, found: Found, target: Target, topology: Topology
) -> None:
    """In a configuration that works by hand; no key is made, and the user's own is left where it is."""
    place = existing_dir(tmp_path / "state", TAG, key, "deploy")
    access = access_to(place, target, topology, found.deployment)
    assert access.nodes == tuple(topology.droplets)
    text = place.ssh_config.read_text()
    assert f'IdentityFile "{key}"' in text
    assert "User deploy" in text
    assert "ProxyJump client" in text
    assert sorted(each.name for each in place.path.iterdir()) == ["ssh_config"]
    assert key.read_text() == "-----BEGIN OPENSSH PRIVATE KEY-----\n"


def test_without_a_key_there_is_no_way(
    tmp_path: Path, found: Found, target: Target, topology: Topology
) -> None:
    """Whatever tries to log in is told what it takes; no ssh is started."""
    place = existing_dir(tmp_path, TAG, None, "root")
    access = access_to(place, target, topology, found.deployment)
    assert isinstance(access, NoAccess)
    for attempt in (access.run, access.argv):
        with pytest.raises(UsageError, match="without --ssh-key"):
            attempt("runner", "true")
    access.close()
    assert list(place.path.iterdir()) == []

"""Fixtures of the deployer's unit tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy_helpers import FAKE_SSH, FakeSsh, deployment, target, topology

from harness.access import ssh
from harness.access.ssh import Access, open_access
from harness.run.rundir import RunDir


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """A run's directory below a temporary state directory."""
    made = RunDir(tmp_path / "state", "run-1")
    made.create()
    return made


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control sockets, of which the fake has none, are not looked for where real ones are."""
    monkeypatch.setattr(ssh, "TEMPORARY", tmp_path_factory.mktemp("tmp"))


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSsh:
    """Put the fake first on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ssh").write_text(FAKE_SSH)
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SSH_LOG", str(tmp_path / "ssh.log"))
    return FakeSsh(tmp_path / "ssh.log")


@pytest.fixture
def access(run_dir: RunDir, fake_ssh: FakeSsh) -> Iterator[Access]:
    """Access whose nodes are all this machine."""
    opened = open_access(run_dir, target(), topology(), deployment())
    yield opened
    opened.close()

"""What the pytest plugin keeps in pytest's stash."""

from __future__ import annotations

from typing import Any

import pytest

from harness.run.session import Session
from harness.run.settings import Choice

CHOICE: pytest.StashKey[Choice] = pytest.StashKey()
SESSION: pytest.StashKey[Session] = pytest.StashKey()
# Whole sections of the report by their key; checks add their results.
SECTIONS: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
# Why a check was not collected.
LEFT_OUT: pytest.StashKey[str] = pytest.StashKey()
# Set for a check that does not apply to the topology.
OTHER_KIND: pytest.StashKey[bool] = pytest.StashKey()

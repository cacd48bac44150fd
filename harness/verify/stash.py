"""What the pytest plugin keeps in pytest's stash."""

from __future__ import annotations

from typing import Any

import pytest

from harness.run.session import Session
from harness.run.settings import Choice

CHOICE: pytest.StashKey[Choice] = pytest.StashKey()
SETUP: pytest.StashKey[Session] = pytest.StashKey()
# Whole parts of the report by their key; checks put in what they have found out.
SECTIONS: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
# Of a check that was not collected: why.
LEFT_OUT: pytest.StashKey[str] = pytest.StashKey()
# Of a check that the topology has nothing for.
OTHER_KIND: pytest.StashKey[bool] = pytest.StashKey()

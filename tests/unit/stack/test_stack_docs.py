"""docs/stack.md says of every key what the code does with it."""

from __future__ import annotations

import re

from harness.run.settings import PROJECT
from harness.stack.keys import CONVERTED, table
from harness.stack.steps.deployment import MONITOR, RESTART_DELAY
from harness.stack.steps.health import LONGEST, START, format_duration
from harness.stack.steps.passed_through import PASSED_THROUGH
from harness.stack.steps.program import FILE, WRAPPER
from harness.stack.steps.unsupported import LEFT_OUT, REFUSED

TEXT = (PROJECT / "docs" / "stack.md").read_text()
SECTION = TEXT.partition("## What becomes of each key")[2]


def test_the_table_is_the_codes_own() -> None:
    """Key for key and word for word, in the same order."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (.*) \|$", SECTION, re.MULTILINE)
    assert rows == list(table().items())


def test_no_key_is_in_two_lists() -> None:
    """Else one of the two would say what is not so."""
    lists = (PASSED_THROUGH, CONVERTED, LEFT_OUT, REFUSED)
    assert sum(map(len, lists)) == len(table())


def test_the_numbers_are_the_codes_own() -> None:
    """How long a health check waits, an update is watched, and a restart takes."""
    assert f"an interval is {LONGEST:g} s at the most" in TEXT
    assert "every\n{start_interval} for {start_period} (".format(**START) in TEXT
    assert format_duration(LONGEST) == "3s"
    assert f"`monitor: {MONITOR}`" in TEXT
    assert f"started again after {RESTART_DELAY.removesuffix('s')} s" in TEXT


def test_the_wrapper_is_the_codes_own() -> None:
    """As it stands in a stack file."""
    written = WRAPPER[2].replace("$", "$$").replace('"', '\\"')
    assert f'entrypoint: [/bin/sh, -c, "{written}", sh]' in TEXT
    assert f"`/run/secrets/{FILE}`" in TEXT

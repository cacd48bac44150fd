"""Commands that are interrupted at random moments: a short series over a pretended deployment.

``python tests/interrupting.py`` runs a long one. The seed is in a failure's message.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from interrupting import pretended_series

COUNTS = {"up": 4, "again": 2, "verify": 2, "bench": 2, "scan": 2, "down": 2}


@pytest.mark.timeout(900)
def test_an_interrupted_command_ends_or_says_that_it_cleans_up(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Within 2 s of an idle machine, without a traceback, with the signal's code; nothing is left of it."""
    seed = int.from_bytes(os.urandom(4))
    series = pretended_series(tmp_path / "s", seed=seed, counts=COUNTS)
    record_property("interrupts", series.report())
    wrong = [f"{each.command} after {each.after:.2f} s: {each.faults}\n{each.said}" for each in series.wrong]
    assert not wrong, f"seed {seed}\n{series.report()}\n" + "\n".join(wrong)

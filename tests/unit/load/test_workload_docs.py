"""docs/workloads.md: its sample is a workload, and it leaves out no key, name, limit or outcome."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from harness.judge0.api import IDS, LIMITS
from harness.judge0.model import EntryPoint, SubmissionMode
from harness.load.model import Outcome
from harness.load.workload import RawProgram, RawWorkload, built_in, load_workload

DOCS = Path(__file__).parents[3] / "docs/workloads.md"
TEXT = DOCS.read_text()


def test_the_sample_is_a_workload(tmp_path: Path) -> None:
    """As it stands there."""
    [sample] = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    file = tmp_path / "sample.yaml"
    file.write_text(sample)
    workload = load_workload(file)
    assert [each.name for each in workload.programs] == ["greets", "counts", "stops"]
    assert workload.programs[2].status == 11


def coded() -> set[str]:
    """All that stands in code type outside of samples."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)))


def keys() -> list[str]:
    """Every key of the format."""
    head = [info.alias or name for name, info in RawWorkload.model_fields.items()]
    return head + [f"programs.NAME.{name}" for name in RawProgram.model_fields]


@pytest.mark.parametrize(
    "words",
    [
        keys(),
        built_in(),
        tuple(IDS),
        LIMITS,
        get_args(EntryPoint),
        get_args(SubmissionMode),
        [each.name for each in Outcome],
    ],
    ids=["keys", "workloads", "languages", "limits", "entry points", "modes", "outcomes"],
)
def test_nothing_is_left_out(words: list[str]) -> None:
    """Each is named in code type."""
    assert set(words) <= coded()

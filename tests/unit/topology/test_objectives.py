"""``objectives:`` of a topology: what it holds, its defaults, and what of it is refused and how."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.errors import TopologyError, TopologyErrors
from harness.run.settings import PROJECT
from harness.topology import Topology, load
from harness.topology.model import Objectives

Loader = Callable[..., Topology]
END = "  judge0: {node: api-1, port: 8000, source: web}\n"
SHIPPED = sorted((PROJECT / "topologies").glob("*.yaml"))

# What stands in the section, the field that is named, the problem, and the remedy.
BROKEN = {
    "unknown key": ("trhoughput: 5", "trhoughput", "unknown key", "did you mean 'throughput'"),
    "word for a number": ("rate: fast", "rate", "is a string, but should be a number", "write a number"),
    "truth for a number": ("rate: true", "rate", "is a boolean", "write a number"),
    "no finite number": ("rate: .inf", "rate", "finite", "finite"),
    "no number at all": ("p95_ms: .nan", "p95_ms", "finite", "finite"),
    "zero rate": ("rate: 0", "rate", "0 can never be met", "arrivals a second, like 10"),
    "negative rate": ("rate: -3", "rate", "-3 can never be met", "arrivals a second"),
    "zero p95": ("p95_ms: 0", "p95_ms", "0 can never be met", "milliseconds"),
    "negative p99": ("p99_ms: -1.5", "p99_ms", "-1.5 can never be met", "milliseconds"),
    "zero throughput": ("throughput: 0", "throughput", "0 can never be met", "a second"),
    "negative errors": ("errors: -0.1", "errors", "not a share", "0 for none at all"),
    "errors in per cent": ("errors: 5", "errors", "5 is not a share", "0.01 for one in a hundred"),
    "all may be errors": ("errors: 1", "errors", "1 is not a share", "below 1"),
    "zero change": ("worse_by: 0", "worse_by", "no change that could matter", "0.1 for a tenth"),
    "change in per cent": ("worse_by: 10", "worse_by", "10 is no change", "0.1 for a tenth"),
    "nameless workload": ("workload: ' '", "workload", "no name", "'hello'"),
    "absent workload file": ("workload: load/mine.yaml", "workload", "there is no file", "relative to"),
    "p99 below p95": ("p95_ms: 20, p99_ms: 10", "p99_ms", "10 is below p95_ms, 20", "at least as much"),
    "more out than in": ("rate: 8, throughput: 9", "throughput", "9 a second", "stay below 'rate'"),
    "as much out as in": ("rate: 8, throughput: 8", "throughput", "where 8 arrive", "stay below 'rate'"),
    "more than the default rate": ("throughput: 50", "throughput", "where 10 arrive", "stay below 'rate'"),
}


def load_with(loader: Loader, section: str) -> Topology:
    """The small topology with this section at its end."""
    return loader((END, f"{END}objectives: {{{section}}}\n"))


def test_there_need_be_none(load_small: Loader) -> None:
    """A topology without the section is held to nothing."""
    assert load_small().objectives is None


def test_what_is_left_out_is_not_held_to(load_small: Loader) -> None:
    """Load and change have defaults, limits have none."""
    assert load_with(load_small, "").objectives == Objectives("hello", 10.0, None, None, None, None, 0.1)


def test_everything_given_is_kept(load_small: Loader) -> None:
    """Whole numbers and fractions alike."""
    section = (
        "workload: mix, rate: 20, p95_ms: 1500, p99_ms: 2000.5, errors: 0, throughput: 18, worse_by: 0.05"
    )
    expected = Objectives("mix", 20.0, 1500.0, 2000.5, 0.0, 18.0, 0.05)
    assert load_with(load_small, section).objectives == expected


def test_a_workload_in_a_file_lies_beside_the_topology(load_small: Loader, directory: Path) -> None:
    """Wherever the command is called from."""
    (directory / "mine.yaml").write_text("name: mine\n")
    found = load_with(load_small, "workload: ./mine.yaml").objectives
    assert found is not None
    assert found.workload == str((directory / "mine.yaml").resolve())


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN.keys())
def test_a_mistake_is_named_with_its_field_and_a_remedy(load_small: Loader, case: tuple[str, ...]) -> None:
    """Each by its key, at its line."""
    section, key, problem, remedy = case
    with pytest.raises(TopologyError) as caught:
        load_with(load_small, section)
    error = caught.value
    assert error.field == f"objectives.{key}"
    assert problem in error.problem
    assert remedy in error.remedy
    assert error.line


def test_all_mistakes_come_at_once(load_small: Loader) -> None:
    """So that one round of mending is enough."""
    with pytest.raises(TopologyErrors) as caught:
        load_with(load_small, "rate: 0, p95_ms: -1, errors: 7")
    fields = {each.field for each in caught.value.errors}
    assert fields == {"objectives.rate", "objectives.p95_ms", "objectives.errors"}


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_our_own_topologies_have_objectives(file: Path) -> None:
    """All of them, with a limit of each kind, at a load that two cores carry."""
    found = load(file).objectives
    assert found is not None
    assert None not in (found.p95_ms, found.p99_ms, found.errors, found.throughput)
    assert found.rate <= 10

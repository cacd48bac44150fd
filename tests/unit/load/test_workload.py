"""Workloads read from YAML, and which program each arrival is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from harness.core.errors import TopologyError, TopologyErrors, UsageError
from harness.judge0.api import IDS, STATUSES
from harness.judge0.model import Program
from harness.judge0.programs import DOUBLING
from harness.load.model import Workload
from harness.load.workload import BLOCK, built_in, choose, load_workload

HEAD = "schema: wavetank/workload/v1\nname: mine\n"
PROGRAM = "programs:\n  a: {language: python, source: print(1)}\n"


def written(tmp_path: Path, text: str) -> Path:
    """A workload file with this text after its head."""
    file = tmp_path / "mine.yaml"
    file.write_text(HEAD + text)
    return file


def mistake(tmp_path: Path, text: str) -> TopologyError:
    """What is said of a file."""
    with pytest.raises(TopologyError) as caught:
        load_workload(written(tmp_path, text))
    return caught.value


@pytest.mark.parametrize("name", built_in())
def test_every_built_in_workload_loads_under_its_own_name(name: str) -> None:
    """What comes with Wavetank is right."""
    workload = load_workload(name)
    assert workload.name == name
    assert all(program.stdout or program.status != 3 for program in workload.programs)


def test_the_mix_holds_what_users_hand_in() -> None:
    """All five languages, and programs that fail, never end, read much and print much."""
    programs = {each.name: each for each in load_workload("mix").programs}
    assert {each.language for each in programs.values()} == set(IDS)
    assert {each.status for each in programs.values()} == {3, 5, 11}
    assert len(programs["output"].stdout or "") == 256 * 1024
    assert len(programs["input"].stdin) == 64 * 1024


def test_languages_have_the_ids_that_the_checks_use() -> None:
    """One language, one id, wherever it is named."""
    assert set(DOUBLING) == set(IDS)


def test_a_program_takes_what_it_does_not_say_from_the_defaults(tmp_path: Path) -> None:
    """Accepted, any output, weight 1, no input, no limits."""
    workload = load_workload(written(tmp_path, PROGRAM))
    assert workload == Workload("mine", (Program("a", "python", "print(1)"),), 1)


def test_a_status_may_be_named_by_its_text(tmp_path: Path) -> None:
    """The number and the text mean the same."""
    text = "programs:\n" + "".join(
        f"  p{at}: {{language: c, source: x, status: {status}}}\n"
        for at, status in enumerate(("Compilation Error", 6))
    )
    assert [each.status for each in load_workload(written(tmp_path, text)).programs] == [6, 6]


def test_long_texts_are_written_as_a_repetition(tmp_path: Path) -> None:
    """A mebibyte of input takes no mebibyte of YAML."""
    long = "{repeat: ab, times: 3}"
    text = f"programs:\n  a: {{language: bash, source: cat, stdin: {long}, stdout: {long}}}\n"
    [program] = load_workload(written(tmp_path, text)).programs
    assert (program.stdin, program.stdout) == ("ababab", "ababab")


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        ("language: pyton, source: x", "programs.a.language", "did you mean 'python'?"),
        ("language: python, source: x, weight: 0", "programs.a.weight", "use a number above 0"),
        ("language: python, source: x, weight: -1.5", "programs.a.weight", "-1.5 is not a weight"),
        ("language: python, source: x, weight: .inf", "programs.a.weight", "inf is not a weight"),
        ("language: python, source: x, wieght: 2", "programs.a.wieght", "did you mean 'weight'?"),
        ("language: python", "programs.a.source", "is missing"),
        ("language: python, source: '  '", "programs.a.source", "it is empty"),
        ("language: python, source: 7", "programs.a.source", "{repeat: TEXT, times: NUMBER}"),
        ("language: python, source: x, stdin: {repeat: x}", "programs.a.stdin.times", "is missing"),
        ("language: python, source: x, stdin: {repeat: x, times: 0}", "programs.a.stdin.times", "1 or more"),
        ("language: python, source: x, stdin: {repeat: x, times: 99999999}", "programs.a.stdin", "8 MiB"),
        ("language: python, source: x, status: 2", "programs.a.status", "use 3 to 14"),
        ("language: python, source: x, status: Acepted", "programs.a.status", "did you mean 'Accepted'?"),
        (
            "language: python, source: x, limits: {cpu_time: 1}",
            "programs.a.limits.cpu_time",
            "cpu_time_limit",
        ),
        (
            "language: python, source: x, limits: {cpu_time_limit: -1}",
            "programs.a.limits",
            "-1 is not a limit",
        ),
    ],
)
def test_a_wrong_program_is_reported_with_its_field_and_what_would_be_right(
    tmp_path: Path, line: str, field: str, words: str
) -> None:
    """File, line, field, problem, remedy."""
    error = mistake(tmp_path, f"programs:\n  a: {{{line}}}\n")
    assert not isinstance(error, TopologyErrors), str(error)
    assert error.field.startswith(field)
    assert error.line == 4
    assert words in str(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("programs: {}\n", "there are none"),
        ("seed: -1\n" + PROGRAM, "-1 is negative"),
        ("seeds: 1\n" + PROGRAM, "did you mean 'seed'?"),
        ("programs: [a]\n", "should be a mapping"),
        ("schema: wavetank/workload/v1\n" + PROGRAM, "given twice"),
    ],
)
def test_a_wrong_head_is_reported(tmp_path: Path, text: str, words: str) -> None:
    """What holds for the whole file."""
    assert words in str(mistake(tmp_path, text))


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """Nobody corrects a file one error at a time."""
    text = "programs:\n  a: {language: x, source: x, weight: 0}\n  b: {language: c, source: ''}\n"
    assert [each.field for each in mistake(tmp_path, text).errors] == [  # type: ignore[attr-defined]
        "programs.a.language",
        "programs.a.weight",
        "programs.b.source",
    ]


def test_a_file_of_another_kind_is_no_workload(tmp_path: Path) -> None:
    """A topology, say."""
    file = tmp_path / "other.yaml"
    file.write_text("schema: wavetank/topology/v1\n")
    with pytest.raises(TopologyError, match="begin the file with 'schema: wavetank/workload/v1'"):
        load_workload(file)


def test_an_empty_file_says_where_to_start_from(tmp_path: Path) -> None:
    """A sample of its own kind."""
    file = tmp_path / "empty.yaml"
    file.touch()
    with pytest.raises(TopologyError, match=r"workloads/hello\.yaml"):
        load_workload(file)


def test_an_unknown_name_is_reported_with_the_known_ones() -> None:
    """Neither a file nor built in."""
    with pytest.raises(UsageError, match="did you mean 'hello'"):
        load_workload("helo")


def three() -> Workload:
    """Three programs in a mix of 70, 29.5 and 0.5 per cent."""
    weights = {"often": 140.0, "sometimes": 59.0, "seldom": 1.0}
    return Workload(
        "three", tuple(Program(name, "bash", ":", weight=each) for name, each in weights.items()), 7
    )


def test_the_same_seed_gives_the_same_arrivals() -> None:
    """And another seed others; a shorter sequence is the beginning of a longer one."""
    other = Workload("three", three().programs, 8)
    assert np.array_equal(choose(three(), 1000), choose(three(), 1000))
    assert np.array_equal(choose(three(), 250), choose(three(), 1000)[:250])
    assert not np.array_equal(choose(three(), 1000), choose(other, 1000))


def test_every_hundred_arrivals_hold_each_program_by_its_weight() -> None:
    """Rounded up or down, so that what is rare and expensive does not come in heaps."""
    for block in choose(three(), 50 * BLOCK).reshape(-1, BLOCK):
        counts = Counter(block.tolist())
        assert counts[0] == 70
        assert counts[1] in (29, 30)
        assert counts[2] in (0, 1)


def test_shares_are_right_in_the_long_run() -> None:
    """The rounding has no side."""
    counts = np.bincount(choose(three(), 1000 * BLOCK), minlength=3)
    assert counts[0] == 70_000
    assert abs(int(counts[2]) - 500) < 100


def test_programs_come_in_no_order() -> None:
    """A block is shuffled: its first half is not of one kind."""
    even = Workload("even", tuple(Program(name, "bash", ":") for name in "ab"))
    halves = choose(even, 100 * BLOCK).reshape(-1, BLOCK)[:, : BLOCK // 2].sum(axis=1)
    assert halves.min() > 5
    assert halves.max() < 45


def test_no_arrivals_are_no_programs() -> None:
    """And fewer than none are a mistake."""
    assert choose(three(), 0).shape == (0,)
    with pytest.raises(UsageError, match="use 0 or more"):
        choose(three(), -1)


def test_statuses_have_texts_that_are_distinguished() -> None:
    """A front door tells the text only."""
    assert len(set(STATUSES.values())) == len(STATUSES) == 14

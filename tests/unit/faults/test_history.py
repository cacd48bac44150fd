"""The judge of submissions, on histories made by hand and by hypothesis."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import CheckFailedError, InconclusiveError
from harness.faults.final_status import read_twice, require_none_lost, require_room
from harness.faults.history import Entry, Journal, Judgement, judge, load

DOOR = "front door"


def invoke(op: int = 1, at: float = 0.0, via: str = DOOR) -> Entry:
    """A submission that prints its number is handed in."""
    return Entry("invoke", at, op, via=via, expected=f"out-{op}\n")


def accepted(op: int = 1, at: float = 1.0) -> Entry:
    """The front door answered with the result."""
    return Entry("ok", at, op, via=DOOR, token=f"t{op}", status="Accepted", final=True, output=f"out-{op}\n")


def seen(op: int = 1, at: float = 10.0, status: str = "Accepted") -> Entry:
    """Judge0's own answer, later."""
    final = status not in ("", "In Queue", "Processing")
    output = f"out-{op}\n" if status == "Accepted" else ""
    return Entry(
        "seen",
        at,
        op,
        token=f"t{op}",
        status=status,
        final=final,
        output=output,
        finished_at="12:00" if final else "",
    )


def listed(op: int = 1, at: float = 5.0, count: int = 1) -> Entry:
    """The front door's own history has it."""
    return Entry("listed", at, op, token=f"t{op}", count=count)


def fine(op: int = 1) -> list[Entry]:
    """A submission as it should be."""
    return [invoke(op), accepted(op), listed(op), seen(op, 10.0), seen(op, 20.0)]


def verdict(*entries: Entry, listing: bool = True) -> tuple[str, str]:
    """Class and reason of submission 1."""
    found = judge(entries, listing=listing)
    return found.classes[1], found.reasons.get(1, "")


def test_what_ended_once_and_stayed_so_is_ok() -> None:
    """The front door, Judge0 twice, and the listing agree."""
    assert verdict(*fine()) == ("ok", "")


def test_internal_error_is_an_end() -> None:
    """A submission whose worker died may end in Internal Error, once."""
    snapshots = [seen(at=10.0, status="Internal Error"), seen(at=20.0, status="Internal Error")]
    found = judge([invoke(), Entry("ok", 1.0, 1, token="t1"), *snapshots], listing=False)
    assert found.classes == {1: "ok"}
    assert found.ends == {"Internal Error": 1}


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (seen(at=30.0, status="Processing"), "t1 still is Processing, 30 s after"),
        (seen(at=30.0, status="In Queue"), "still is In Queue"),
        (seen(at=30.0, status=""), "does not know t1"),
    ],
)
def test_what_never_ends_is_lost(last: Entry, said: str) -> None:
    """Left in Processing by a dead worker, in the queue, or forgotten altogether."""
    class_, reason = verdict(invoke(), Entry("ok", 1.0, 1, via="judge0", token="t1"), last)
    assert class_ == "lost"
    assert said in reason


def test_anothers_output_is_a_lost_result() -> None:
    """Accepted with what another program printed: its own result is nowhere."""
    snapshots = [replace(seen(at=at), output="out-2\n") for at in (10.0, 20.0)]
    class_, reason = verdict(invoke(), Entry("ok", 1.0, 1, token="t1"), *snapshots)
    assert class_ == "lost"
    assert "another's output" in reason


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (seen(at=30.0, status="Internal Error"), "ended as Accepted"),
        (replace(seen(at=30.0), output="other\n"), "ended as Accepted"),
        (replace(seen(at=30.0), finished_at="12:01"), "ended at 12:00 and at 12:01"),
        (seen(at=30.0, status="Processing"), "had ended and then was Processing"),
        (replace(seen(at=30.0), token="t9"), "became several: t1, t9"),
        (listed(count=2), "lists t1 2 times"),
        (replace(listed(), token="t9"), "became several: t1, t9"),
    ],
    ids=["status", "output", "time", "reopened", "token", "listed-twice", "listed-as-two"],
)
def test_what_ends_twice_is_duplicated(wrong: Entry, said: str) -> None:
    """Two results, a second time of ending, a status after a final one, or two submissions from one."""
    class_, reason = verdict(*fine(), wrong)
    assert class_ == "duplicated"
    assert said in reason


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([invoke(), accepted(), listed()], "was not asked"),
        ([invoke(), accepted(), listed(), seen()], "once only"),
        ([invoke(), accepted(), seen(at=10.0), seen(at=20.0)], "never seen to list it"),
    ],
    ids=["not-asked", "asked-once", "not-listed"],
)
def test_what_cannot_be_told_is_unknown(entries: list[Entry], said: str) -> None:
    """Without two looks at Judge0, or a listing where there should be one, nothing is claimed."""
    class_, reason = verdict(*entries)
    assert class_ == "unknown"
    assert said in reason


def test_a_look_before_the_end_is_no_second_end() -> None:
    """In Queue, Processing, and then final is how it should go."""
    early = [seen(at=0.2, status="In Queue"), seen(at=0.5, status="Processing")]
    assert verdict(invoke(), *early, accepted(), listed(), seen(at=10.0), seen(at=20.0))[0] == "ok"


def test_what_was_not_accepted_owes_nothing() -> None:
    """A refusal, no answer, and a submission cut off in the middle are counted, not judged."""
    found = judge(
        [invoke(1), Entry("fail", 1.0, 1), invoke(2), Entry("info", 1.0, 2), invoke(3)], listing=True
    )
    assert (found.classes, found.refused, found.unanswered) == ({}, 1, 2)


def test_a_refusal_that_was_accepted_all_the_same_is_judged() -> None:
    """The front door gave up on it and listed its token: it has to end like any other."""
    entries = [invoke(), Entry("fail", 1.0, 1), listed(), seen(at=20.0, status="Processing")]
    assert verdict(*entries)[0] == "lost"


def answered(status: str = "Accepted", output: str = "out-1\n", *, final: bool = True) -> Entry:
    """The front door answered, and gave no token."""
    return Entry("ok", 1.0, 1, via=DOOR, status=status, final=final, output=output)


def test_without_a_token_the_programs_own_output_shows_whose_answer_it_was() -> None:
    """That is all there is to go by, and it is enough."""
    assert verdict(invoke(), answered(), listing=False) == ("ok", "")
    assert verdict(invoke(), answered(), Entry("listed", 5.0, 1, count=1)) == ("ok", "")
    assert verdict(invoke(), answered("Time Limit Exceeded"), listing=False) == ("ok", "")


@pytest.mark.parametrize(
    ("entries", "listing", "class_", "said"),
    [
        ([answered(output="out-2\n")], False, "lost", "it ended with another's output: 'out-2"),
        ([answered(output="")], False, "lost", "it ended without its output"),
        (
            [answered("In Queue", "", final=False)],
            False,
            "unknown",
            "was In Queue when .* no token to ask by",
        ),
        ([answered("failed", "")], False, "unknown", "'failed' is none of Judge0's statuses, .* no token"),
        ([answered("failed")], False, "unknown", "'failed' is none of"),
        (
            [answered("Internal Error", "")],
            False,
            "unknown",
            "as Internal Error without its output, .* no token",
        ),
        ([answered()], True, "unknown", "never seen to list it"),
        ([answered(), Entry("listed", 5.0, 1, count=2)], True, "duplicated", "lists it 2 times"),
    ],
    ids=[
        "swapped",
        "empty",
        "unfinished",
        "no-status",
        "no-status-but-output",
        "error",
        "not-listed",
        "listed-twice",
    ],
)
def test_without_a_token_nothing_is_believed(
    entries: list[Entry], listing: bool, class_: str, said: str
) -> None:
    """Accepted with another's output, or none, is a lost result; what cannot be told is unknown."""
    found = verdict(invoke(), *entries, listing=listing)
    assert found[0] == class_
    assert re.search(said, found[1])


def test_a_refusal_that_names_a_token_is_judged_by_it() -> None:
    """The gateway gave up, the submission went on: it has to end like any other, history or none."""
    late = Entry("fail", 1.0, 1, via=DOOR, token="t1", code=504)
    assert verdict(invoke(), late, seen(status="Processing"), listing=False)[0] == "lost"
    assert verdict(invoke(), late, seen(), seen(at=20.0), listing=False) == ("ok", "")


def judgement(*entries: Entry) -> Judgement:
    """All of them, judged."""
    return judge(entries, listing=False)


def test_nothing_accepted_shows_nothing() -> None:
    """That none was lost is no news then; what is unknown, or lost, is said first."""
    file = Path("history.jsonl")
    require_none_lost(judgement(invoke(), answered()), file)
    with pytest.raises(InconclusiveError, match=r"no submission was accepted.*1 refused"):
        require_none_lost(judgement(invoke(), Entry("fail", 1.0, 1)), file)
    with pytest.raises(InconclusiveError, match="no token to ask by"):
        require_none_lost(judgement(invoke(), answered("In Queue", final=False)), file)
    with pytest.raises(CheckFailedError, match="1 lost"):
        require_none_lost(judgement(invoke(), answered(output="x")), file)


def test_a_full_queue_is_a_doubt_about_the_pace() -> None:
    """Other refusals are for the check to judge."""
    refused = Entry("fail", 1.0, 1, code=502, said='{"error": "no runner"}')
    require_room([accepted(), refused])
    full = Entry("fail", 1.0, 2, code=503, said='{"error": "queue is full"}')
    with pytest.raises(InconclusiveError, match=r"1 of 3 submissions met a full queue.* 503"):
        require_room([accepted(), refused, full])


def test_nothing_is_asked_about_no_tokens() -> None:
    """Judge0 need not be reached for that."""

    def nobody() -> Any:
        raise AssertionError

    journal = Journal()
    journal.add(invoke())
    journal.add(answered())
    read_twice(journal, nobody)
    assert len(journal.entries()) == 2


def test_an_end_without_a_beginning_is_refused() -> None:
    """Such a history is not one."""
    with pytest.raises(ValueError, match=r"never invoked: \[1\]"):
        judge([accepted()], listing=False)


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Every entry, field by field, through the file."""
    file = tmp_path / "history.jsonl"
    journal = Journal(file)
    for entry in fine():
        journal.add(entry)
    journal.close()
    assert load(file) == journal.entries() == tuple(fine())


def test_the_judgement_tells_itself() -> None:
    """Counts, ends, and the first reasons."""
    found = judge([*fine(1), invoke(2), replace(accepted(2), final=False), seen(2, status="")], listing=True)
    assert str(found) == (
        "2 accepted: 1 ok, 1 lost, 0 duplicated, 0 unknown (1 Accepted); 0 refused, 0 unanswered"
    )
    assert found.describe("lost") == "1 lost: submission 2: Judge0 does not know t2"


@given(st.permutations([entry for op in (1, 2, 3) for entry in fine(op)]))
def test_order_of_writing_does_not_matter(entries: list[Entry]) -> None:
    """Threads write as they come; times count, not lines."""
    assert set(judge(entries, listing=True).classes.values()) == {"ok"}


@given(
    st.sampled_from(["forget", "repeat", "reopen", "unsee"]),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_each_fault_is_found_in_the_submission_that_has_it(fault: str, broken: int, random: object) -> None:
    """One broken among four: it is named, and no other."""
    changes = {
        "forget": ([seen(broken, 30.0, "")], "lost"),
        "repeat": ([replace(seen(broken, 30.0), finished_at="12:01")], "duplicated"),
        "reopen": ([seen(broken, 15.0, "In Queue")], "duplicated"),
        "unsee": ([], "unknown"),
    }
    extra, wanted = changes[fault]
    entries = [entry for op in (1, 2, 3, 4) for entry in fine(op)] + extra
    if fault == "unsee":
        entries = [each for each in entries if not (each.kind == "seen" and each.op == broken)]
    random.shuffle(entries)  # type: ignore[attr-defined]  # hypothesis's own
    classes = judge(entries, listing=True).classes
    assert {op: class_ for op, class_ in classes.items() if class_ != "ok"} == {broken: wanted}

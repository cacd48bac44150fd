"""What the worker believes of a run: one report, as `box` writes it, and outputs as long as was allowed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge0_worker import report, sandbox, verdict

ABORTED = "time:0.010\ntime-wall:0.020\nmax-rss:9000\ncg-mem:800\nexitcode:134\nstatus:RE\nmessage:Exited\n"
FORGED = "\nstatus:\nexitcode:0\ntime:0.001\ncg-mem:7\n"


@pytest.mark.parametrize(
    "text",
    [
        ABORTED + FORGED,
        FORGED + ABORTED,
        ABORTED + "exitcode:0\n",
        ABORTED + "colour:red\n",
        ABORTED + "\n",
        ABORTED + "\0" * 4000 + FORGED,
        ABORTED + "x" * report.LARGEST,
        ABORTED.replace("134", "0"),
        ABORTED.replace("RE", ""),
        ABORTED.replace("RE", "OK"),
        ABORTED.replace("exitcode:134", "exitsig:6"),
        ABORTED.replace("exitcode:134\n", ""),
        ABORTED.replace("800", "9" * 30),
        ABORTED.replace("0.010", "nan"),
        ABORTED.replace("0.010", "-1"),
        ABORTED.replace("0.010", "٣"),
        "exitcode:0\nexitsig:11\n",
        "status:SG\n",
        "status:RE\nexitcode:0\n",
        ":0\nexitcode:0\n",
    ],
)
def test_what_box_does_not_write_is_no_verdict(text: str) -> None:
    """Twice the same, the unknown, the contradictory, the too long: Internal Error, and no figure counts."""
    meta = report.parse_meta(text)
    assert verdict.status(meta, b"right", b"right") == verdict.INTERNAL_ERROR
    assert (meta.time, meta.memory, meta.exit_code) == (None, None, None)


LINES = st.tuples(
    st.sampled_from([*report.FIELDS, "", "x"]), st.sampled_from(["0", "9", "SG", "", "\n", "\0"])
)


@given(st.lists(LINES.map(":".join), max_size=4).map("\n".join))
def test_no_text_is_more_than_it_says(text: str) -> None:
    """Any text gives a status; accepted is only what ends with an exit code of 0 and nothing else."""
    accepted = verdict.status(report.parse_meta(text), None, None) == verdict.ACCEPTED
    assert not accepted or ("exitcode:0" in text.split("\n") and "SG" not in text)


def test_a_report_is_read_to_its_bound_and_no_wait_is_for_its_end() -> None:
    """A pipe that is full, and that somebody still could write to."""
    ours, theirs = os.pipe()
    try:
        assert report.receive(ours) == ""
        os.set_blocking(theirs, False)
        while True:
            try:
                os.write(theirs, b"exitcode:0\n" * 372)
            except BlockingIOError:
                break
        text = report.receive(ours)
        assert len(text) == report.LARGEST + 1
        assert report.parse_meta(text).status == "XX"
    finally:
        os.close(ours)
        os.close(theirs)


def test_outputs_are_read_as_far_as_they_were_allowed_to_go(tmp_path: Path) -> None:
    """A file of 3 GiB, nearly all of it a hole."""
    with sandbox._stream(tmp_path / "stdout") as handle:
        with (tmp_path / "stdout").open("r+b") as theirs:
            theirs.write(b"begin")
            theirs.truncate(3 << 30)
        assert sandbox._read(handle, 1000) == b"begin" + bytes(995)
        assert sandbox._read(handle, 0) is None


def test_an_output_is_a_new_file_and_never_what_a_link_leads_to(tmp_path: Path) -> None:
    """What was in its place before a run is not there in it."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (tmp_path / "stdout").symlink_to(secret)
    with sandbox._stream(tmp_path / "stdout") as handle:
        assert sandbox._read(handle, 100) is None
    assert secret.read_text() == "secret"


def stripped(text: bytes) -> bytes:
    """What is compared, said in the shortest way."""
    return b"\n".join(line.rstrip() for line in text.split(b"\n")).rstrip()


TEXTS = st.lists(st.sampled_from([b"a", b" ", b"\n", b"\t", b"\r", b"\x0b", b"", b"b"])).map(b"".join)


@given(TEXTS, TEXTS)
def test_comparing_line_by_line_is_comparing_the_whole(first: bytes, second: bytes) -> None:
    """Ends of lines and of the text do not count, whatever they are made of."""
    assert verdict.same(first, second) == (stripped(first) == stripped(second))
    assert verdict.same(first, stripped(first))

"""The reference Judge0's rules where nothing has to run: bodies, limits, formats, verdicts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from judge0_common import formats
from judge0_server import cache, forms, params, render, validate
from judge0_worker import callback, report, verdict

SETTINGS = SimpleNamespace(
    number_of_runs=1, max_number_of_runs=20, cpu_time_limit=5.0, max_cpu_time_limit=15.0, cpu_extra_time=1.0,
    max_cpu_extra_time=5.0, wall_time_limit=10.0, max_wall_time_limit=20.0, memory_limit=128000,
    max_memory_limit=512000, stack_limit=64000, max_stack_limit=128000, max_processes_and_or_threads=60,
    max_max_processes_and_or_threads=120, max_file_size=1024, max_max_file_size=4096, enable_network=False,
    allow_enable_network=False, redirect_stderr_to_stdout=False, enable_compiler_options=True,
    enable_per_process_and_thread_time_limit=False, allow_enable_per_process_and_thread_time_limit=True,
    enable_per_process_and_thread_memory_limit=False, allow_enable_per_process_and_thread_memory_limit=True,
    allowed_languages_for_compile_options=[], enable_command_line_arguments=True, enable_callbacks=True,
    enable_additional_files=True,
)  # fmt: skip


def errors(**body: object) -> dict[str, list[str]]:
    taken = params.attributes({"source_code": "x", "language_id": 71, **body}, encoded=False)
    with pytest.raises(validate.RefusedError) as raised:
        validate.submission(taken, SETTINGS)
    return dict(raised.value.errors)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("cpu_time_limit", 15.5, "must be less than or equal to 15.0"),
        ("cpu_time_limit", "abc", "is not a number"),
        ("cpu_time_limit", "nan", "is not a number"),
        ("memory_limit", 2047, "must be greater than or equal to 2048"),
        ("number_of_runs", 0, "must be greater than 0"),
        ("language_id", 9999, "language with id 9999 doesn't exist"),
        ("language_id", "python", "language with id 0 doesn't exist"),
        ("language_id", 1, "language with id 1 is archived and cannot be used anymore"),
        ("compiler_options", "x" * 513, "is too long (maximum is 512 characters)"),
        ("command_line_arguments", "x" * 513, "is too long (maximum is 512 characters)"),
        ("source_code", " \n", "can't be blank"),
        ("source_code", {"a": 1}, "can't be blank"),
        ("compiler_options", "-O2", "setting compiler options is only allowed for compiled languages"),
        ("enable_network", True, "enabling network is not allowed"),
    ],
)
def test_what_is_out_of_bounds_is_refused_in_judge0s_words(name: str, value: object, message: str) -> None:
    """One message for the attribute, and no other attribute has one."""
    language = {"language_id": 50} if name == "compiler_options" and value != "-O2" else {}
    assert errors(**language, **{name: value}) == {name: [message]}


def test_a_switch_that_is_not_allowed_is_refused_whoever_turned_it_on() -> None:
    """By the client, or by a default; left empty it is the default."""
    settings = SimpleNamespace(**{**vars(SETTINGS), "enable_network": True})
    for more in ({}, {"enable_network": ""}):
        with pytest.raises(validate.RefusedError, match="enabling network is not allowed"):
            validate.submission(
                {"source_code": b"x", "language_id": 71, **more},
                settings,
            )
    name = "enable_per_process_and_thread_time_limit"
    settings = SimpleNamespace(**{**vars(SETTINGS), f"allow_{name}": False})
    with pytest.raises(validate.RefusedError) as raised:
        validate.submission({"source_code": b"x", "language_id": 71, name: True}, settings)
    assert raised.value.errors == {name: ["this option cannot be enabled"]}


def test_options_of_blanks_are_none() -> None:
    """Also where a language takes no options."""
    row = validate.submission({"source_code": b"x", "language_id": 71, "compiler_options": " "}, SETTINGS)
    assert row["language_id"] == 71


def test_defaults_fill_in_what_a_body_leaves_out() -> None:
    """A source and a language are enough; a language may be given as text."""
    row = validate.submission(
        params.attributes({"source_code": 12, "language_id": "71"}, encoded=False), SETTINGS
    )
    assert (row["source_code"], row["language_id"], row["wall_time_limit"]) == (b"12", 71, 10.0)


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        (b"cHJpbnQoMSk=", b"print(1)"),
        (b"cHJp\nbnQ", b"print"),
        (b"####", b""),
        (b"YQ", b"a"),
        (b"YWJjZ", b"abc"),
    ],
)
def test_base64_is_read_leniently(text: bytes, raw: bytes) -> None:
    """Letters that are none of Base64's are skipped, the end need not be padded."""
    assert params.decode64(text) == raw


def test_a_body_that_is_no_json_is_malformed() -> None:
    """Malformed JSON is an error; another content type has no attributes."""
    with pytest.raises(params.MalformedError):
        params.parse_body("application/json", b"{")
    assert params.parse_body("text/plain", b"{") == {}


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
@pytest.mark.parametrize("name", ["compiler_options", "command_line_arguments", "callback_url"])
def test_a_text_that_no_column_holds_is_malformed(name: str, value: str) -> None:
    """It would fail the statement that writes it, and with it all rows that were written together."""
    with pytest.raises(params.MalformedError):
        validate.submission({"source_code": b"x", "language_id": 50, name: value}, SETTINGS)


def test_a_multipart_form_without_a_boundary_is_malformed() -> None:
    """It says what is missing."""
    with pytest.raises(ValueError, match="boundary"):
        forms.multipart("multipart/form-data", b"")


def test_base64_is_written_in_lines_of_60() -> None:
    """As Ruby writes it: 60 characters a line, the last with its newline too."""
    assert [len(line) for line in formats.encode64(b"x" * 100).split("\n")] == [60, 60, 16, 0]


@pytest.mark.parametrize(("value", "text"), [(0.01, "0.01"), (5, "5.0"), (1.0884, "1.088"), (0.0, "0.0")])
def test_seconds_are_text(value: float, text: str) -> None:
    """At least one decimal, at most three."""
    assert formats.decimal(value) == text


def test_text_that_is_not_ascii_needs_base64() -> None:
    """Shown in Base64 or not at all; times in UTC with milliseconds."""
    row = {"stdout": "é".encode(), "created_at": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)}
    assert render.submission(row, ("stdout",), encoded=True) == {"stdout": "w6k=\n"}
    assert render.submission(row, ("created_at",), encoded=False) == {
        "created_at": "2026-01-02T03:04:05.678Z"
    }
    with pytest.raises(render.UnreadableError):
        render.submission(row, ("stdout",), encoded=False)


def test_unknown_fields_are_named() -> None:
    """All of those that are unknown, and no others."""
    with pytest.raises(render.InvalidFieldsError, match=r"^invalid fields: \[foo, bar\]$"):
        render.parse_fields("token,foo,bar")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("time:0.1\nexitcode:0\n", verdict.ACCEPTED),
        ("exitcode:3\nstatus:RE\nmessage:Exited with error status 3\n", verdict.NZEC),
        ("exitsig:11\nstatus:SG\nmessage:Caught fatal signal 11\n", verdict.SIGSEGV),
        ("exitsig:9\nstatus:SG\n", verdict.OTHER),
        ("status:TO\nmessage:Time limit exceeded\n", verdict.TIME_LIMIT_EXCEEDED),
        ('status:XX\nmessage:execve("x"): Exec format error\n', verdict.EXEC_FORMAT_ERROR),
        ("status:XX\nmessage:mount proc: no\n", verdict.INTERNAL_ERROR),
        ("", verdict.INTERNAL_ERROR),
        ("time:0.1\n", verdict.INTERNAL_ERROR),
    ],
)
def test_how_a_run_ended_decides_its_status(text: str, status: int) -> None:
    """What the sandbox writes becomes a status; where it writes no end, that is an internal error."""
    assert verdict.status(report.parse_meta(text), None, None) == status


@pytest.mark.parametrize(
    ("stdout", "expected", "accepted"),
    [
        (b"a  \nb\n\n", b"a\nb", True),
        (b"a", b"a\n \n", True),
        (b" a", b"a", False),
        (None, b"", False),
        (b"x", None, True),
    ],
)
def test_output_is_compared_without_what_trails(
    stdout: bytes | None, expected: bytes | None, accepted: bool
) -> None:
    """Each line's end and the whole's; nothing printed is not the same as an empty expectation."""
    ended = report.parse_meta("exitcode:0\n")
    assert (verdict.status(ended, stdout, expected) == verdict.ACCEPTED) is accepted


def test_a_callback_tells_what_base64_encoded_answers_tell() -> None:
    """The default fields, texts in Base64."""
    told = json.loads(callback.body("t", verdict.Result(3, stdout=b"hi\n", time=0.01, memory=7)))
    assert told["stdout"] == "aGkK\n"
    assert set(told) == set(render.DEFAULT)
    assert told["status"] == {"id": 3, "description": "Accepted"}
    assert (told["time"], told["memory"]) == ("0.01", 7)


def test_rows_are_kept_for_their_time_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody asks for again is not kept until ten thousand others have come."""
    now = 100.0
    monkeypatch.setattr(cache, "time", SimpleNamespace(monotonic=lambda: now))
    kept = cache.Cache(0.05, largest=3)
    for key in "abcd":
        kept.put(key, key)
    assert [kept.get(key) for key in "abcd"] == [None, "b", "c", "d"]
    now += 0.06
    kept.put("e", "e")
    assert (len(kept), kept.get("d"), kept.get("e")) == (1, None, "e")

"""From a row to JSON, with Judge0's field names, formats and order."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from judge0_common.formats import STATUSES, decimal, encode64
from judge0_server.languages import BY_ID

FIELDS = (
    "source_code",
    "language_id",
    "stdin",
    "expected_output",
    "stdout",
    "status_id",
    "created_at",
    "finished_at",
    "time",
    "memory",
    "stderr",
    "token",
    "number_of_runs",
    "cpu_time_limit",
    "cpu_extra_time",
    "wall_time_limit",
    "memory_limit",
    "stack_limit",
    "max_processes_and_or_threads",
    "enable_per_process_and_thread_time_limit",
    "enable_per_process_and_thread_memory_limit",
    "max_file_size",
    "compile_output",
    "exit_code",
    "exit_signal",
    "message",
    "wall_time",
    "compiler_options",
    "command_line_arguments",
    "redirect_stderr_to_stdout",
    "callback_url",
    "additional_files",
    "enable_network",
    "status",
    "language",
)
DEFAULT = ("stdout", "time", "memory", "stderr", "token", "compile_output", "message", "status")

_ENCODED = frozenset(
    ("source_code", "stdin", "expected_output", "stdout", "stderr", "compile_output", "message")
)
_TIMES = frozenset(("created_at", "finished_at"))
_DECIMALS = frozenset(("time", "wall_time", "cpu_time_limit", "cpu_extra_time", "wall_time_limit"))

UNREADABLE = (
    "some attributes for this submission cannot be converted to UTF-8,"
    " use base64_encoded=true query parameter"
)


UNREADABLE_AMONG = UNREADABLE.replace("this submission", "one or more submissions")


class InvalidFieldsError(Exception):
    """`names` are no fields of a submission."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"invalid fields: [{', '.join(names)}]")


class UnreadableError(Exception):
    """A text that is not plain ASCII was to be shown without Base64; Judge0 shows none such."""


def split(text: object) -> list[str]:
    """What stands between commas, as Ruby's split has it: nothing is stripped, and nothing empty ends it."""
    parts = str(text or "").split(",")
    while parts and not parts[-1]:
        parts.pop()
    return parts


def parse_fields(text: object) -> tuple[str, ...]:
    """The `fields` parameter: names, or * for all. Raises InvalidFieldsError."""
    names = split(text)
    invalid = [name for name in names if name not in FIELDS and name != "*"]
    if invalid:
        raise InvalidFieldsError(invalid)
    if "*" in names:
        return FIELDS
    return tuple(name for name in FIELDS if name in names) or DEFAULT


def instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _value(  # noqa: PLR0911 - one return for each kind of field
    row: Mapping[str, object], name: str, *, encoded: bool
) -> object:
    if name == "status":
        status = row["status_id"]
        return {"id": status, "description": STATUSES[status]}
    if name == "language":
        language = BY_ID[row["language_id"]]
        return {"id": language.id, "name": language.name}
    value = row[name]
    if value is None:
        return None
    if name in _ENCODED:
        if encoded:
            return encode64(value)
        if not value.isascii():
            raise UnreadableError
        return value.decode("ascii")
    if name == "additional_files":
        return encode64(value)
    if name in _DECIMALS:
        return decimal(value)
    if name in _TIMES:
        return instant(value)
    return str(value) if name == "token" else value


def submission(row: Mapping[str, object], fields: Sequence[str], *, encoded: bool) -> dict[str, object]:
    """The fields of a submission as JSON shows them. Raises UnreadableError."""
    return {name: _value(row, name, encoded=encoded) for name in fields}

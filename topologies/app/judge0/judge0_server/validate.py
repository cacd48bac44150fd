"""Judge0's rules for a submission, its messages and their order."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, NamedTuple

from judge0_server import params
from judge0_server.languages import BY_ID, MULTI_FILE, Language

if TYPE_CHECKING:
    from judge0_server.settings import Settings

BLANK = "can't be blank"

Errors = dict[str, list[str]]


class Limit(NamedTuple):
    """What a number may be: `maximum` names a setting; `exclusive` means greater than `minimum`."""

    minimum: int
    maximum: str
    whole: bool = True
    exclusive: bool = False


LIMITS = {
    "number_of_runs": Limit(0, "max_number_of_runs", exclusive=True),
    "cpu_time_limit": Limit(0, "max_cpu_time_limit", whole=False),
    "cpu_extra_time": Limit(0, "max_cpu_extra_time", whole=False),
    "wall_time_limit": Limit(1, "max_wall_time_limit", whole=False),
    "memory_limit": Limit(2048, "max_memory_limit"),
    "stack_limit": Limit(0, "max_stack_limit"),
    "max_processes_and_or_threads": Limit(0, "max_max_processes_and_or_threads", exclusive=True),
    "max_file_size": Limit(0, "max_max_file_size"),
}

# Switches, and the setting that says whether a client may turn them on.
SWITCHES = {
    "enable_per_process_and_thread_time_limit": "allow_enable_per_process_and_thread_time_limit",
    "enable_per_process_and_thread_memory_limit": "allow_enable_per_process_and_thread_memory_limit",
    "enable_network": "allow_enable_network",
    "redirect_stderr_to_stdout": "",
}

_CANNOT = "this option cannot be enabled"
_REFUSED = {
    "enable_per_process_and_thread_time_limit": _CANNOT,
    "enable_per_process_and_thread_memory_limit": _CANNOT,
    "enable_network": "enabling network is not allowed",
}

# Of options and arguments, in characters.
LONGEST_OPTION = 512


class RefusedError(Exception):
    """A submission that is not valid; `errors` maps attributes to messages."""

    def __init__(self, errors: Errors) -> None:
        super().__init__(str(errors))
        self.errors = errors


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and not isinstance(value, bool) else None


def _language_id(value: object) -> int | None:
    """Ruby's to_i for what an integer column is given: 71.7 is 71, "python" is 0, "" is nothing."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = _number(value)
    return int(number) if number is not None and abs(number) < 2**31 else 0


def _check_limit(name: str, given: object, settings: Settings, errors: Errors) -> Decimal:
    limit, value = LIMITS[name], _number(given)
    maximum = getattr(settings, limit.maximum)
    if value is None:
        errors[name] = ["is not a number"]
        return Decimal(0)
    if value < limit.minimum or (limit.exclusive and value == limit.minimum):
        than = "greater than" if limit.exclusive else "greater than or equal to"
        errors[name] = [f"must be {than} {limit.minimum}"]
    elif value > Decimal(str(maximum)):
        errors[name] = [f"must be less than or equal to {maximum}"]
    return value


def _truth(value: object) -> bool:
    return value not in (False, 0, "", "0", "f", "F", "false", "FALSE", "off", "OFF")


def _check_source(taken: Mapping[str, object], language_id: int | None, errors: Errors) -> None:
    source = taken.get("source_code")
    blank = not isinstance(source, bytes) or not source.strip()
    if language_id == MULTI_FILE:
        if not blank:
            errors["source_code"] = ["must be blank"]
        if not taken.get("additional_files"):
            errors["additional_files"] = [BLANK]
    elif blank:
        errors["source_code"] = [BLANK]


def _check_language(language_id: int | None, errors: Errors) -> None:
    if language_id is None:
        errors["language_id"] = [BLANK, "language with id  doesn't exist"]
    elif language_id not in BY_ID:
        errors["language_id"] = [f"language with id {language_id} doesn't exist"]
    elif BY_ID[language_id].is_archived:
        errors["language_id"] = [f"language with id {language_id} is archived and cannot be used anymore"]


def _check_options(
    row: Mapping[str, object], language_id: int | None, settings: Settings, errors: Errors
) -> None:
    language = BY_ID.get(language_id or 0)

    def refuse(name: str, message: str) -> None:
        errors.setdefault(name, []).append(message)

    for name in ("compiler_options", "command_line_arguments"):
        if len(str(row[name] or "")) > LONGEST_OPTION:
            refuse(name, f"is too long (maximum is {LONGEST_OPTION} characters)")
    if _present(row["compiler_options"]) and (message := _no_options(language, settings)):
        refuse("compiler_options", message)
    if _present(row["command_line_arguments"]) and not settings.enable_command_line_arguments:
        refuse("command_line_arguments", "setting command line arguments is not allowed")
    if _present(row["callback_url"]) and not settings.enable_callbacks:
        refuse("callback_url", "setting callback is not allowed")
    if row["additional_files"] and not settings.enable_additional_files:
        refuse("additional_files", "setting additional files is not allowed")


def _no_options(language: Language | None, settings: Settings) -> str:
    """Why a program in this language takes no compiler options; "" where it does."""
    allowed = settings.allowed_languages_for_compile_options
    if not settings.enable_compiler_options:
        return "setting compiler options is not allowed"
    if language and language.compile_cmd is None:
        return "setting compiler options is only allowed for compiled languages"
    if language and allowed and language.name.split(" ")[0] not in allowed:
        return f"setting compiler options is only allowed for {_sentence(allowed)}"
    return ""


def _present(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip())


def _sentence(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def submission(taken: Mapping[str, object], settings: Settings) -> dict[str, object]:
    """A submission's columns from its attributes, defaults filled in. Raises RefusedError."""
    errors: Errors = {}
    row: dict[str, object] = {name: taken.get(name) for name in params.TEXTS}
    language_id = _language_id(taken.get("language_id"))
    _check_source(taken, language_id, errors)
    for name, limit in LIMITS.items():
        value = taken.get(name)
        if value is None or value == "":
            value = getattr(settings, name)
        number = _check_limit(name, value, settings, errors)
        row[name] = int(number) if limit.whole else float(number)
    for name, setting in SWITCHES.items():
        given = taken.get(name, "")
        row[name] = getattr(settings, name) if given == "" else _truth(given)
        if row[name] and setting and not getattr(settings, setting):
            errors[name] = [_REFUSED[name]]
    for name in ("compiler_options", "command_line_arguments", "callback_url"):
        row[name] = params.column(taken.get(name))
    row["additional_files"] = taken.get("additional_files")
    _check_options(row, language_id, settings, errors)
    _check_language(language_id, errors)
    if errors:
        raise RefusedError(errors)
    row["language_id"] = language_id
    return row

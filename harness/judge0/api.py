"""Judge0's API (1.13.1): statuses, ids of the languages that we name, limits, its token.

https://github.com/judge0/judge0/tree/v1.13.1/docs/api
"""

from __future__ import annotations

from collections.abc import Mapping

IN_QUEUE, PROCESSING, ACCEPTED, WRONG_ANSWER, TIME_LIMIT, COMPILATION_ERROR = 1, 2, 3, 4, 5, 6
RUNTIME_ERRORS = range(7, 13)
UNFINISHED = (IN_QUEUE, PROCESSING)

STATUSES: Mapping[int, str] = {
    IN_QUEUE: "In Queue",
    PROCESSING: "Processing",
    ACCEPTED: "Accepted",
    WRONG_ANSWER: "Wrong Answer",
    TIME_LIMIT: "Time Limit Exceeded",
    COMPILATION_ERROR: "Compilation Error",
    7: "Runtime Error (SIGSEGV)",
    8: "Runtime Error (SIGXFSZ)",
    9: "Runtime Error (SIGFPE)",
    10: "Runtime Error (SIGABRT)",
    11: "Runtime Error (NZEC)",
    12: "Runtime Error (Other)",
    13: "Internal Error",
    14: "Exec Format Error",
}
BY_TEXT: Mapping[str, int] = {text: number for number, text in STATUSES.items()}
ACCEPTED_TEXT = STATUSES[ACCEPTED]
UNFINISHED_TEXTS = tuple(STATUSES[each] for each in UNFINISHED)

IDS: Mapping[str, int] = {"python": 71, "javascript": 63, "bash": 46, "c": 50, "cpp": 54}

# Fields of a submission that hold a number, each in its own unit: seconds, or KB, or how many.
LIMITS = (
    "cpu_time_limit",
    "cpu_extra_time",
    "wall_time_limit",
    "memory_limit",
    "stack_limit",
    "max_processes_and_or_threads",
    "max_file_size",
    "number_of_runs",
)

# How many submissions a batch holds unless Judge0 is set otherwise. A token travels as 36 characters and a
# comma; a request line of 20 stays far below any server's limit.
BATCH_LIMIT = 20

AUTHENTICATION = "X-Auth-Token"


def name_of(status: int) -> str:
    """The text of a status, or that Judge0 has no such status."""
    return STATUSES.get(status, f"status {status}")


def is_final(status: int) -> bool:
    """Whether no other status may follow."""
    return status not in UNFINISHED


def authentication(token: str) -> dict[str, str]:
    """The header that a Judge0 with a token requires; none without one."""
    return {AUTHENTICATION: token} if token else {}

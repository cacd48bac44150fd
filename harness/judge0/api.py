"""Judge0's API (1.13.1): statuses, ids of the languages that we name, limits, its token.

https://github.com/judge0/judge0/tree/v1.13.1/docs/api
"""

from __future__ import annotations

from harness.topology.judge0_ids import BY_TEXT, IDS, STATUSES

__all__ = ["BY_TEXT", "IDS", "STATUSES"]

IN_QUEUE, PROCESSING, ACCEPTED, WRONG_ANSWER, TIME_LIMIT, COMPILATION_ERROR = 1, 2, 3, 4, 5, 6
RUNTIME_ERRORS = range(7, 13)
UNFINISHED = (IN_QUEUE, PROCESSING)

ACCEPTED_TEXT = STATUSES[ACCEPTED]
FINAL_TEXTS = tuple(text for number, text in STATUSES.items() if number not in UNFINISHED)

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
    """The header of Judge0's that carries a token; none without one."""
    return {AUTHENTICATION: token} if token else {}

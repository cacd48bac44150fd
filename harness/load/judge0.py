"""Judge0's own words: its statuses, its ids of the languages we have names for, and its limits (1.13.1)."""

from __future__ import annotations

from collections.abc import Mapping

IN_QUEUE, PROCESSING, ACCEPTED = 1, 2, 3
UNFINISHED = (IN_QUEUE, PROCESSING)

STATUSES: Mapping[int, str] = {
    IN_QUEUE: "In Queue",
    PROCESSING: "Processing",
    ACCEPTED: "Accepted",
    4: "Wrong Answer",
    5: "Time Limit Exceeded",
    6: "Compilation Error",
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


def name_of(status: int) -> str:
    """The text of a status, or that it is none of Judge0's."""
    return STATUSES.get(status, f"status {status}")

"""Judge0's numbers (1.13.1): its statuses, and the ids of the languages that our programs are written in.

A topology names some of them; ``harness.judge0.api`` has what else Judge0's API is made of.
"""

from __future__ import annotations

from collections.abc import Mapping

STATUSES: Mapping[int, str] = {
    1: "In Queue",
    2: "Processing",
    3: "Accepted",
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

# The version that is used where nothing says another.
IDS: Mapping[str, int] = {"python": 71, "javascript": 63, "bash": 46, "c": 50, "cpp": 54}
# Other ids of the same languages, whose programs are written in the same way: GCC and Clang.
NAMES: Mapping[int, str] = {
    **{number: name for name, number in IDS.items()},
    **dict.fromkeys((48, 49, 75), "c"),
    **dict.fromkeys((52, 53, 76), "cpp"),
}

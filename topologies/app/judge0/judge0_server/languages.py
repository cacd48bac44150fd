"""The languages that judge0-worker can run, under the ids and names they have in Judge0 1.13.1.

A client looks languages up by these, so they are kept as they are; what really runs is Debian 12's compiler
or interpreter (GCC 12.2, Python 3.11, Node.js 18, Bash 5.2), as `compile_cmd` and `run_cmd` say. Those that
1.13.1 has archived, in `archived.csv`, are shown and refused, as it does.
"""

import csv
from pathlib import Path
from typing import NamedTuple


class Language(NamedTuple):
    id: int
    name: str
    source_file: str
    compile_cmd: str | None
    run_cmd: str
    is_archived: bool = False


_C, _CPP = "/usr/bin/gcc %s main.c", "/usr/bin/g++ %s main.cpp"


def _archived() -> list[Language]:
    with Path(__file__).with_name("archived.csv").open(newline="") as file:
        return [
            Language(
                int(row["id"]),
                row["name"],
                row["source_file"],
                row["compile_cmd"] or None,
                row["run_cmd"],
                is_archived=True,
            )
            for row in csv.DictReader(file)
        ]


# In the order of /languages: by name.
ACTIVE = (
    Language(46, "Bash (5.0.0)", "script.sh", None, "/usr/bin/bash script.sh"),
    Language(48, "C (GCC 7.4.0)", "main.c", _C, "./a.out"),
    Language(49, "C (GCC 8.3.0)", "main.c", _C, "./a.out"),
    Language(50, "C (GCC 9.2.0)", "main.c", _C, "./a.out"),
    Language(52, "C++ (GCC 7.4.0)", "main.cpp", _CPP, "./a.out"),
    Language(53, "C++ (GCC 8.3.0)", "main.cpp", _CPP, "./a.out"),
    Language(54, "C++ (GCC 9.2.0)", "main.cpp", _CPP, "./a.out"),
    Language(44, "Executable", "a.out", None, "/usr/bin/chmod +x a.out && ./a.out"),
    Language(63, "JavaScript (Node.js 12.14.0)", "script.js", None, "/usr/bin/node script.js"),
    Language(89, "Multi-file program", "", None, ""),
    Language(43, "Plain Text", "text.txt", None, "/usr/bin/cat text.txt"),
    Language(71, "Python (3.8.1)", "script.py", None, "/usr/bin/python3 script.py"),
)

# In the order of /languages/all: by name too.
LANGUAGES = tuple(sorted((*ACTIVE, *_archived()), key=lambda language: language.name))

BY_ID = {language.id: language for language in LANGUAGES}
MULTI_FILE = 89

"""Programs with known answers: cheap, each with an answer of its own, and with every kind of end.

An answer that is remembered from before, or always the same, is wrong for them. Each prints
fingerprints of the machine where it runs to standard error.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.judge0.api import ACCEPTED, COMPILATION_ERROR, RUNTIME_ERRORS, WRONG_ANSWER, name_of
from harness.judge0.reading import Submission

# Ids of containers and their layers, and the end of the kernel's boot id. Docker's short form of an id.
FINGERPRINT = re.compile(r"[0-9a-f]{12,64}")
FINGERPRINT_LENGTH = 12
SHOWN = 60

# Numbers and the exit status are filled in by %.
SOURCES = {
    "bash": """\
exec 3>&2 2>/dev/null
for file in /proc/sys/kernel/random/boot_id /proc/sys/kernel/hostname /proc/self/cgroup /proc/self/mountinfo
do
  while read -r line; do
    while [[ $line =~ [0-9a-f]{12,64} ]]; do
      echo "${BASH_REMATCH[0]}" >&3
      line=${line#*"${BASH_REMATCH[0]}"}
    done
  done < "$file"
done
read -r n
echo $((%(a)d * %(b)d + n))
exit %(status)d
""",
    "python": """\
import re, sys
for file in ("sys/kernel/random/boot_id", "sys/kernel/hostname", "self/cgroup", "self/mountinfo"):
    try:
        print(*re.findall("[0-9a-f]{12,64}", open("/proc/" + file).read()), file=sys.stderr)
    except OSError:
        pass
print(%(a)d * %(b)d + int(input()))
sys.exit(%(status)d)
""",
}
BROKEN = {"c": '#error "%(nonce)s"\nint main(void) { return 0; }\n'}
# How often each kind comes: most have correct answers, which a faulty worker changes most easily.
KINDS = {"accepted": 7, "unjudged": 4, "wrong": 4, "crash": 4, "broken": 1}
NZEC = 11
ENDS: Mapping[str, tuple[int, ...]] = {"wrong": (WRONG_ANSWER,), "crash": (NZEC, *RUNTIME_ERRORS)}


@dataclass(frozen=True)
class Program:
    """A program, its input, and its expected result.

    Any of ``statuses`` is right. ``quotes`` is what the compiler must say. ``stdout`` None: it never runs.
    """

    language: str
    source: str
    statuses: Sequence[int]
    stdout: str | None
    extra: Mapping[str, Any] = field(default_factory=dict)
    quotes: str = ""


def programs(seed: str, languages: Collection[str]) -> Iterator[Program]:
    """Endless, and the same for the same seed. ``languages``: what there is, by our names.

    Their kinds come at random, so that a worker that fails periodically is not in step. None where no
    language is known.
    """
    running = [name for name in SOURCES if name in languages]
    broken = [name for name in BROKEN if name in languages]
    kinds = {name: weight for name, weight in KINDS.items() if broken or name != "broken"}
    number = 0
    while running:
        draw = random.Random(f"{seed}:{number}")  # noqa: S311 (no secret)
        kind = draw.choices(list(kinds), list(kinds.values()))[0]
        yield _broken(draw, broken[0]) if kind == "broken" else _running(draw, kind, draw.choice(running))
        number += 1


def wrong(program: Program, answer: Submission | None) -> str:
    """What is wrong with an answer; empty if nothing is."""
    if answer is None:
        return "Judge0 does not know what it took"
    met = f"{answer.description} {_short(answer.stdout)}"
    wanted = name_of(program.statuses[0])
    if program.stdout is None:
        right = answer.status in program.statuses and program.quotes in answer.compile_output
        return "" if right else f"{program.language}: expected {wanted} that says {program.quotes}, got {met}"
    if answer.status in program.statuses and answer.stdout.strip() == program.stdout:
        return ""
    return f"{program.language}: expected {wanted} {_short(program.stdout)}, got {met}"


def fingerprints(text: str) -> frozenset[str]:
    """The fingerprints in the output of a program, or of a node."""
    return frozenset(each[:FINGERPRINT_LENGTH] for each in FINGERPRINT.findall(text))


def _running(draw: random.Random, kind: str, language: str) -> Program:
    a, b, n = (draw.randrange(10**4, 10**6) for _ in range(3))
    status = draw.randrange(1, 100) if kind == "crash" else 0
    answer = a * b + n
    extra: dict[str, Any] = {"stdin": f"{n}\n"}
    if kind in ("accepted", "wrong"):
        extra["expected_output"] = str(answer if kind == "accepted" else answer + draw.randrange(1, 100))
    source = SOURCES[language] % {"a": a, "b": b, "status": status}
    return Program(language, source, ENDS.get(kind, (ACCEPTED,)), str(answer), extra)


def _broken(draw: random.Random, language: str) -> Program:
    nonce = f"wt{draw.randrange(10**12):012d}"
    source = BROKEN[language] % {"nonce": nonce}
    return Program(language, source, (COMPILATION_ERROR,), None, quotes=nonce)


def _short(text: str) -> str:
    return repr(text.strip()[:SHOWN])

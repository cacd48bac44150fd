"""Workloads: the programs to submit, their mix, and the expected results. Read from YAML.

docs/workloads.md describes each key. The built-in workloads are files, too, in ``workloads`` beside this
file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.core.errors import UsageError
from harness.judge0.api import ACCEPTED, BY_TEXT, IDS, LIMITS, STATUSES, UNFINISHED
from harness.judge0.model import Program
from harness.load.model import Workload
from harness.topology.source import Problems, Step, did_you_mean, read

VERSION = "wavetank/workload/v1"
BUILT_IN = Path(__file__).parent / "workloads"

LARGEST_TEXT = 8 * 1024 * 1024
MOST_PROGRAMS = 1000
# Shares hold within every run of so many arrivals.
BLOCK = 100

Chosen: TypeAlias = npt.NDArray[np.int16]


class Raw(BaseModel):
    """Base of all sections: no key that is not known, no type that is not meant."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RawRepeat(Raw):
    repeat: str
    times: int


class RawProgram(Raw):
    language: str
    source: str | RawRepeat
    stdin: str | RawRepeat = ""
    stdout: str | RawRepeat | None = None
    status: int | str = ACCEPTED
    weight: float = 1.0
    limits: dict[str, float] = Field(default_factory=dict)


class RawWorkload(Raw):
    version: str = Field(alias="schema")
    name: str
    seed: int = 1
    programs: dict[str, RawProgram]


def built_in() -> tuple[str, ...]:
    """The names of the workloads that come with Wavetank."""
    return tuple(sorted(file.stem for file in BUILT_IN.glob("*.yaml")))


def load_workload(name_or_file: str | Path) -> Workload:
    """The built-in workload of that name, or the one in a YAML file.

    Raises ``UsageError`` for a name that is neither, ``TopologyError`` (file, line, field, remedy) for an
    invalid file, with all its problems in one.
    """
    problems = Problems(read(find(name_or_file), sample="harness/load/workloads/hello.yaml"))
    raw = _shape(problems)
    _check(raw, problems)
    problems.raise_any()
    programs = tuple(_program(name, each) for name, each in raw.programs.items())
    return Workload(raw.name, programs, raw.seed)


def find(name_or_file: str | Path) -> Path:
    """Where a workload is. Raises ``UsageError``."""
    text = str(name_or_file)
    if text in built_in():
        return BUILT_IN / f"{text}.yaml"
    file = Path(text)
    if os.path.lexists(file):
        return file
    remedy = did_you_mean(text, built_in())
    raise UsageError(f"workload {text!r}: no file, and not built in; {remedy}")


def choose(workload: Workload, count: int) -> Chosen:
    """Which program each of ``count`` arrivals is, as an index into ``workload.programs``.

    The same workload gives the same sequence, and a shorter one is the beginning of a longer one. Of every
    ``BLOCK`` arrivals in a row, counted from the first, each program has its share, rounded up or down
    (systematic sampling, then shuffled): rare and expensive programs do not come in heaps by chance.
    """
    if count < 0:
        raise UsageError(f"{count} arrivals are not possible: use 0 or more")
    weights = np.array([each.weight for each in workload.programs], dtype=np.float64)
    bounds = np.cumsum(weights / weights.sum())[:-1]
    # One source of chance for each, so that more blocks leave the first ones as they are.
    offsets, orders = (np.random.default_rng((workload.seed, part)) for part in range(2))
    starts = offsets.random((math.ceil(count / BLOCK), 1))
    blocks = np.searchsorted(bounds, (np.arange(BLOCK) + starts) / BLOCK, side="right").astype(np.int16)
    chosen: Chosen = orders.permuted(blocks, axis=1).ravel()[:count]
    return chosen


def _shape(problems: Problems) -> RawWorkload:
    """The file's data as typed sections. Raises ``TopologyError`` with all type errors."""
    data = problems.source.data
    if not isinstance(data, Mapping) or data.get("schema") != VERSION:
        problems.add(("schema",), "is not that of a workload", f"begin the file with 'schema: {VERSION}'")
        problems.raise_any()
    try:
        return RawWorkload.model_validate(data)
    except ValidationError as error:
        for path, problem, remedy in _problems(error):
            problems.add(path, problem, remedy)
        problems.raise_any()
        raise


def _problems(error: ValidationError) -> list[tuple[tuple[Step, ...], str, str]]:
    """Path, problem and remedy of each of pydantic's errors; only once if a value may be of two types."""
    found: dict[tuple[Step, ...], tuple[str, str]] = {}
    for each in error.errors(include_url=False):
        path = tuple(step for step in each["loc"] if step not in ("str", "int", "RawRepeat", "[key]"))
        found.setdefault(path, _explain(each["type"], path, each["msg"]))
    inner = {path[:-1] for path in found if len(path) > 1 and path[-1] in ("repeat", "times")}
    return [(path, *words) for path, words in found.items() if path not in inner]


def _explain(kind: str, path: tuple[Step, ...], message: str) -> tuple[str, str]:
    if kind == "extra_forbidden":
        return f"unknown key {path[-1]!r}", did_you_mean(str(path[-1]), _keys(path[:-1]))
    if kind == "missing":
        return "is missing", "add it; docs/workloads.md describes it"
    if path[-1] in ("source", "stdin", "stdout"):
        return "is not a text", "write a text, or {repeat: TEXT, times: NUMBER}"
    wanted = message.removeprefix("Input should be ").replace("valid ", "").replace("dictionary", "mapping")
    return f"should be {wanted}", f"write {wanted}; docs/workloads.md shows the form"


def _keys(path: tuple[Step, ...]) -> list[str]:
    """The keys of the section at ``path``."""
    section: Any = {0: RawWorkload, 2: RawProgram}.get(len(path), RawRepeat)
    return [info.alias or name for name, info in section.model_fields.items()]


def _check(raw: RawWorkload, problems: Problems) -> None:
    if not raw.programs or len(raw.programs) > MOST_PROGRAMS:
        problem = f"there are {len(raw.programs) or 'none'}"
        problems.add(("programs",), problem, f"write 1 to {MOST_PROGRAMS}, each under a name of its own")
    if raw.seed < 0:
        problems.add(("seed",), f"{raw.seed} is negative", "use 0 or more")
    for name, program in raw.programs.items():
        _check_program(("programs", name), program, problems)


def _check_program(path: tuple[Step, ...], program: RawProgram, problems: Problems) -> None:
    if program.language not in IDS:
        problem = f"no language is called {program.language!r}"
        problems.add((*path, "language"), problem, did_you_mean(program.language, IDS))
    if not 0 < program.weight < math.inf:
        problem = f"{program.weight:g} is not a weight"
        remedy = "use a number above 0; remove the program if it is not to be submitted"
        problems.add((*path, "weight"), problem, remedy)
    _check_status((*path, "status"), program.status, problems)
    for key in ("source", "stdin", "stdout"):
        _check_text((*path, key), getattr(program, key), problems, blank=key != "source")
    for name, limit in program.limits.items():
        _check_limit((*path, "limits", name), name, limit, problems)


def _check_status(path: tuple[Step, ...], status: int | str, problems: Problems) -> None:
    known = [text for number, text in STATUSES.items() if number not in UNFINISHED]
    if STATUSES.get(status) in known if isinstance(status, int) else status in known:
        return
    remedy = did_you_mean(str(status), known) if isinstance(status, str) else "use 3 to 14, or its text"
    problems.add(path, f"{status!r} is not one of Judge0's final statuses", remedy)


def _check_text(
    path: tuple[Step, ...], text: str | RawRepeat | None, problems: Problems, *, blank: bool
) -> None:
    if isinstance(text, RawRepeat) and text.times < 1:
        problems.add((*path, "times"), f"{text.times} is not a number of times", "use 1 or more")
    elif _size(text) > LARGEST_TEXT:
        problems.add(path, f"it is longer than {LARGEST_TEXT >> 20} MiB", "repeat it less often")
    elif not blank and not (_written(text) or "").strip():
        problems.add(path, "it is empty", "write a program")


def _check_limit(path: tuple[Step, ...], name: str, limit: float, problems: Problems) -> None:
    if name not in LIMITS:
        problems.add(path, f"Judge0 has no limit {name!r}", did_you_mean(name, LIMITS))
    elif not 0 <= limit < math.inf:
        problems.add(path, f"{limit:g} is not a limit", "use a number of 0 or more, in Judge0's own unit")


def _program(name: str, raw: RawProgram) -> Program:
    status = raw.status if isinstance(raw.status, int) else BY_TEXT[raw.status]
    return Program(
        name=name,
        language=raw.language,
        source=_written(raw.source) or "",
        stdin=_written(raw.stdin) or "",
        status=status,
        stdout=_written(raw.stdout),
        weight=raw.weight,
        limits=dict(raw.limits),
    )


def _written(text: str | RawRepeat | None) -> str | None:
    return text.repeat * text.times if isinstance(text, RawRepeat) else text


def _size(text: str | RawRepeat | None) -> int:
    """How long a text is with its repetitions expanded, without expanding them."""
    once = text.repeat if isinstance(text, RawRepeat) else text or ""
    return len(once.encode()) * (text.times if isinstance(text, RawRepeat) else 1)
